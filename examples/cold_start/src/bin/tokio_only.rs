//! Nothing but tokio: what any such program weighs and takes.

use cold_start::Start;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let mut start = Start::begun();
    start.spawning();
    tokio::task::yield_now().await;
    start.admitted()
}
