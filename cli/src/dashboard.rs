//! `dashboard`: a page that shows the circuits of a table, and what becomes of them.
//!
//! It listens on loopback unless it is told otherwise, and changes nothing unless that is allowed.
//! Everything of the page is in the command.

mod args;
mod board;
mod changes;
mod connection;
#[cfg(feature = "demo")]
mod demo;
mod guard;
mod hub;
mod routes;

use std::{net::SocketAddr, time::Duration};

use fuseboard::store::Consistency;
use serde_json::json;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    time::{MissedTickBehavior, interval},
};

pub(crate) use self::args::DashboardArgs;
use self::{changes::Orders, connection::Listener, guard::Guard, hub::Hub, routes::Pages};
use crate::{args::TableArgs, ending::Ending, json, output, table::Table, time};

/// How long a page hears nothing at most, so that it knows the dashboard to be there.
const BEAT: Duration = Duration::from_secs(2);

/// Shows the table until the process is told to end.
pub(crate) async fn serve(
    args: DashboardArgs,
    table: &TableArgs,
    is_json: bool,
) -> Result<(), Ending> {
    let ended = ended()?;
    #[cfg(feature = "demo")]
    if args.demo {
        let demo = Box::pin(demo::Demo::start(table)).await?;
        let shown = demo.table().clone();
        return tokio::select! {
            served = show(args, shown, is_json, ended) => served,
            ran = demo.run() => ran,
        };
    }
    let opened = Table::open(table);
    let mut ended = Box::pin(ended);
    let table = tokio::select! {
        opened = opened => opened?,
        () = &mut ended => return Ok(()),
    };
    show(args, table, is_json, ended).await
}

/// Ends when the process is told to.
fn ended() -> Result<impl Future<Output = ()>, Ending> {
    let listen =
        |kind| signal(kind).map_err(|error| Ending::failed(format_args!("no signals: {error}")));
    let (mut interrupt, mut terminate) =
        (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

async fn show(
    args: DashboardArgs,
    table: Table,
    is_json: bool,
    end: impl Future<Output = ()>,
) -> Result<(), Ending> {
    let listener = TcpListener::bind(args.listen).await;
    let bound = listener.and_then(|listener| Ok((listener.local_addr()?, listener)));
    let (address, listener) = bound.map_err(|error| {
        let elsewhere = "--listen 127.0.0.1:0 takes a port that is free";
        Ending::failed(format_args!("cannot listen on {}: {error}; {elsewhere}", args.listen))
    })?;
    let place = match table.prefix.as_str() {
        "" => table.place().to_owned(),
        prefix => format!("{}, prefix {prefix:?}", table.place()),
    };
    let hub = Hub::new(&table.name, &place, args.interval, args.allow_changes);
    let orders = args.allow_changes.then(|| Orders::new(table.clone(), args.by));
    let guard = Guard::new(address, args.host);
    tell(address, &table, args.allow_changes, is_json)?;
    let pages = Pages { guard, hub: hub.clone(), orders: orders.clone() };
    let served = axum::serve(Listener::new(listener), routes::router(pages));
    let result = tokio::select! {
        served = served => served.map_err(Ending::failed),
        () = follow(&table, &hub, args.interval) => Ok(()),
        () = beat(&hub) => Ok(()),
        () = end => Ok(()),
    };
    if let Some(orders) = orders {
        // What has begun is carried out and written down, unless somebody insists.
        let insisted = ended()?;
        tokio::select! {
            () = orders.settle() => {}
            () = insisted => {}
        }
    }
    result
}

/// Says where the page is, and who sees it.
fn tell(address: SocketAddr, table: &Table, can_change: bool, is_json: bool) -> Result<(), Ending> {
    let url = format!("http://{address}/");
    if !address.ip().is_loopback() {
        let more = if can_change { ", and can hold and release them" } else { "" };
        output::note(&format!("who reaches {address} sees the circuits{more}\n"));
    }
    output::print(&if is_json {
        json::line(&json!({"url": url, "table": table.name, "changes": can_change}))
    } else {
        format!("{url} shows table {:?}, until Ctrl-C\n", table.name)
    })
}

/// Reads the table again and again, and at once when somebody wants that.
async fn follow(table: &Table, hub: &Hub, every: Duration) {
    let mut reads = interval(every);
    reads.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = reads.tick() => {}
            () = hub.wanted() => reads.reset(),
        }
        match table.list(Consistency::Eventual).await {
            Ok(listing) => hub.read(&listing, listing.nothing(table), time::now()),
            Err(error) => {
                let why = table.explain(&error);
                if hub.lose(&why, time::now()) {
                    let why = crate::text::shown(&why);
                    output::note(&format!("the table cannot be read, trying again: {why}\n"));
                }
            }
        }
    }
}

/// Tells the pages from time to time that the dashboard is there.
async fn beat(hub: &Hub) {
    let mut beats = interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beats.tick().await;
        hub.beat(time::now());
    }
}
