//! The same traffic through several circuits, one below the other.

use std::{cell::RefCell, fs, io, path::Path, rc::Rc, time::Duration};

use crate::{
    busy::{self, Ended, Trouble},
    circuit::Ending,
    rules::{Setting, for_a_cold_return, for_slow_calls, pictured},
    svg::{Bars, Svg, Type},
    traffic::Traffic,
    weather::Weather,
};

const INK: &str = "#1f2328";
const FAINT: &str = "#59636e";
const GRID: &str = "#e6e9ed";
const TROUBLE: &str = "#fff3f1";

const WIDTH: f64 = 900.0;
const LEFT: f64 = 190.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 92.0;
const LANE: f64 = 76.0;
/// The highest bar.
const BAR: f64 = 56.0;

/// What a second of a lane holds: how many calls ended in each way.
type Second = [u32; 4];

/// One picture: a title, what is told under it, and lanes.
#[derive(Debug)]
struct Picture {
    title: &'static str,
    subtitle: String,
    /// The seconds in which the dependency is in trouble.
    trouble: [u32; 2],
    lanes: Vec<Lane>,
}

#[derive(Debug)]
struct Lane {
    name: String,
    note: String,
    seconds: Vec<Second>,
}

/// Draws every picture into the folder, and says which.
pub(crate) fn write_all(folder: &Path) -> io::Result<()> {
    for (name, picture) in all()? {
        let path = folder.join(format!("tripping-{name}.svg"));
        fs::write(&path, picture.draw())?;
        println!("{}", path.display());
    }
    Ok(())
}

/// Returns every picture with its name.
fn all() -> io::Result<Vec<(&'static str, Picture)>> {
    let seconds = Duration::from_secs;
    let spell =
        |failing, lasting| Weather::Spell { failing, else_failing: 0, from: seconds(30), lasting };
    Ok(vec![
        (
            "partial",
            of_rules(
                "A part of the calls fails",
                "35 % of the calls fail for 90 s",
                [30, 120],
                spell(350, seconds(90)),
            )?,
        ),
        (
            "burst",
            of_rules(
                "A burst of failures",
                "all calls fail for 0.4 s",
                [30, 31],
                spell(1_000, Duration::from_millis(400)),
            )?,
        ),
        (
            "slow",
            of_trouble(
                "Calls that are slow",
                "each takes 5 s, and then ends well, for 60 s; recovery timeout 30 s",
                [30, 90],
                (&for_slow_calls(), Trouble::Slow),
            )?,
        ),
        (
            "cold",
            of_trouble(
                "A cold recovery",
                "down for 30 s, then back with a tenth of its capacity, warm after 60 s; recovery timeout 10 s",
                [30, 60],
                (&for_a_cold_return(), Trouble::Cold),
            )?,
        ),
    ])
}

/// Calls that take time, several at once.
fn of_trouble(
    title: &'static str,
    what: &str,
    trouble: [u32; 2],
    (settings, kind): (&[Setting], Trouble),
) -> io::Result<Picture> {
    let subtitle = format!("{} calls a second; {what}", busy::RATE);
    let lanes = settings.iter().map(|setting| busy_lane(setting, kind));
    Ok(Picture { title, subtitle, trouble, lanes: lanes.collect::<io::Result<_>>()? })
}

fn busy_lane(setting: &Setting, kind: Trouble) -> io::Result<Lane> {
    let seconds = Rc::new(RefCell::new(vec![Second::default(); 180]));
    let counted = Rc::clone(&seconds);
    busy::run(&setting.config, kind, Duration::from_secs(180), move |at, ended| {
        let place = match ended {
            Ended::Good => 0,
            Ended::Slow => 1,
            Ended::Failed => 2,
            Ended::Rejected => 3,
        };
        count(&mut counted.borrow_mut(), at, place);
    })?;
    let seconds = seconds.take();
    Ok(Lane::new(setting, seconds))
}

fn count(seconds: &mut [Second], at: Duration, place: usize) {
    let second = usize::try_from(at.as_secs()).ok().and_then(|at| seconds.get_mut(at));
    if let Some(count) = second.and_then(|second| second.get_mut(place)) {
        *count = count.saturating_add(1);
    }
}

/// Twenty calls a second through each kind of rule.
fn of_rules(
    title: &'static str,
    what: &str,
    trouble: [u32; 2],
    weather: Weather,
) -> io::Result<Picture> {
    let traffic =
        Traffic { rate: 20.0, lasting: Duration::from_secs(180), seed: 1, until_opened: false };
    let settings = pictured();
    let lanes = settings.iter().map(|setting| lane(setting, traffic, weather));
    let subtitle = format!("20 calls a second; {what}; recovery timeout 30 s");
    Ok(Picture { title, subtitle, trouble, lanes: lanes.collect::<io::Result<_>>()? })
}

fn lane(setting: &Setting, traffic: Traffic, weather: Weather) -> io::Result<Lane> {
    let mut seconds = vec![Second::default(); 180];
    traffic.run(&setting.config, weather, |at, ending| {
        let place = match ending {
            Ending::Good => 0,
            Ending::Failed => 2,
            Ending::Rejected => 3,
        };
        count(&mut seconds, at, place);
    })?;
    Ok(Lane::new(setting, seconds))
}

fn sums(seconds: &[Second]) -> Second {
    seconds.iter().fold(Second::default(), |sum, second| {
        [0, 1, 2, 3].map(|kind| {
            let of = |second: &Second| second.get(kind).copied().unwrap_or_default();
            of(&sum).saturating_add(of(second))
        })
    })
}

impl Picture {
    fn draw(&self) -> String {
        let mut svg = Svg::default();
        let last = self.lanes.iter().map(|lane| lane.seconds.len()).max().unwrap_or_default();
        let last = f64::from(u32::try_from(last).unwrap_or_default()).max(1.0);
        let step = (WIDTH - LEFT - RIGHT) / last;
        let lanes = f64::from(u32::try_from(self.lanes.len()).unwrap_or_default());
        let foot = TOP + lanes * LANE;
        self.backdrop(&mut svg, step, last, foot);
        let highest = self.highest();
        let mut top = TOP;
        for lane in &self.lanes {
            lane.draw(&mut svg, top, step, highest);
            top += LANE;
        }
        legend(&mut svg, foot + 44.0);
        svg.finish(self.title, [WIDTH, foot + 62.0])
    }

    /// The most calls of one second, in any lane.
    fn highest(&self) -> f64 {
        let seconds = self.lanes.iter().flat_map(|lane| &lane.seconds);
        let most = seconds.map(|second| second.iter().sum::<u32>()).max();
        f64::from(most.unwrap_or(1).max(1))
    }

    fn backdrop(&self, svg: &mut Svg, step: f64, last: f64, foot: f64) {
        let title = Type { size: 17, bold: true, colour: INK, anchor: "start" };
        svg.text([24.0, 34.0], title, self.title);
        let small = Type { size: 12, bold: false, colour: FAINT, anchor: "start" };
        svg.text([24.0, 56.0], small, &self.subtitle);
        let [from, to] = self.trouble.map(f64::from);
        svg.rect(
            [LEFT + from * step, TOP - 12.0],
            [(to - from) * step, foot - TOP + 12.0],
            TROUBLE,
        );
        let mut second = 0.0;
        while second <= last {
            let x = LEFT + second * step;
            svg.line([x, TOP - 12.0], [x, foot], GRID);
            let label = Type { size: 11, bold: false, colour: FAINT, anchor: "middle" };
            svg.text([x, foot + 16.0], label, &format!("{second:.0} s"));
            second += 30.0;
        }
    }
}

impl Lane {
    fn new(setting: &Setting, seconds: Vec<Second>) -> Self {
        let [good, slow, failed, rejected] = sums(&seconds);
        let slow = if slow > 0 { format!(", {slow} slow") } else { String::new() };
        let note = format!("{good} good{slow}, {failed} failed, {rejected} rejected");
        Self { name: setting.name.to_owned(), note, seconds }
    }

    fn draw(&self, svg: &mut Svg, top: f64, step: f64, highest: f64) {
        let name = Type { size: 12, bold: true, colour: INK, anchor: "end" };
        svg.text([LEFT - 12.0, top + 24.0], name, &self.name);
        let note = Type { size: 10, bold: false, colour: FAINT, anchor: "end" };
        for (line, part) in (0_u8..).zip(self.note.split(", ")) {
            svg.text([LEFT - 12.0, top + 38.0 + f64::from(line) * 12.0], note, part);
        }
        let foot = top + BAR + 12.0;
        let mut bars: [Bars; 4] = Default::default();
        let mut x = LEFT;
        for second in &self.seconds {
            let mut y = foot;
            for (count, bars) in second.iter().zip(&mut bars) {
                let height = f64::from(*count) / highest * BAR;
                if *count > 0 {
                    y -= height;
                    bars.add([x, y], [(step - 0.6).max(0.6), height]);
                }
            }
            x += step;
        }
        for (bars, colour) in bars.iter().zip(COLOURS) {
            svg.bars(bars, colour);
        }
        svg.line([LEFT, foot], [WIDTH - RIGHT, foot], GRID);
    }
}

/// Good, slow, failed, rejected.
const COLOURS: [&str; 4] = ["#2da44e", "#8250df", "#cf222e", "#d4a72c"];

fn legend(svg: &mut Svg, y: f64) {
    let mut x = LEFT;
    let words = ["answered well", "slow: over 1 s", "failed", "rejected"];
    for (word, colour) in words.into_iter().zip(COLOURS) {
        svg.rect([x, y - 9.0], [10.0, 10.0], colour);
        let label = Type { size: 11, bold: false, colour: FAINT, anchor: "start" };
        svg.text([x + 16.0, y], label, word);
        x += 150.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `cargo run --release -p tripping -- pictures docs` draws them again.
    #[test]
    fn the_pictures_of_the_guide_are_drawn_by_this_program() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
        for (name, picture) in all().unwrap() {
            let file = docs.join(format!("tripping-{name}.svg"));
            let drawn = fs::read_to_string(&file).unwrap();
            assert!(drawn == picture.draw(), "{name} is old");
            assert!(!drawn.contains("\n\n"), "{name}: an empty line ends a picture in Markdown");
        }
    }

    #[test]
    fn a_burst_opens_the_circuit_of_few_failures_alone() {
        let pictures = all().unwrap();
        let (_, burst) = pictures.iter().find(|(name, _)| *name == "burst").unwrap();
        let rejected = burst.lanes.iter().map(|lane| sums(&lane.seconds)[3] > 0);
        assert_eq!(rejected.collect::<Vec<_>>(), [true, false, false, false]);
    }
}
