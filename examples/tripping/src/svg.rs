//! SVG by hand: texts, lines and bars.

use std::fmt::Write as _;

/// A picture under construction. Coordinates are in pixels.
#[derive(Debug, Default)]
pub(crate) struct Svg {
    body: String,
}

/// How a text looks, and where it stands relative to its point: `start`, `middle` or `end`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Type {
    pub(crate) size: u32,
    pub(crate) bold: bool,
    pub(crate) colour: &'static str,
    pub(crate) anchor: &'static str,
}

/// Bars of one colour: one path, since each element of its own would take three times the room.
#[derive(Debug, Default)]
pub(crate) struct Bars {
    path: String,
}

impl Bars {
    pub(crate) fn add(&mut self, [x, y]: [f64; 2], [width, height]: [f64; 2]) {
        // Writing to a string cannot fail.
        let _ = write!(self.path, "M{x:.1} {y:.1}h{width:.1}v{height:.1}h-{width:.1}z");
    }
}

impl Svg {
    pub(crate) fn bars(&mut self, bars: &Bars, fill: &str) {
        if !bars.path.is_empty() {
            self.push(&format!(r#"<path d="{}" fill="{fill}"/>"#, bars.path));
        }
    }

    pub(crate) fn rect(&mut self, at: [f64; 2], size: [f64; 2], fill: &str) {
        let mut bars = Bars::default();
        bars.add(at, size);
        self.bars(&bars, fill);
    }

    pub(crate) fn line(&mut self, [x, y]: [f64; 2], [to_x, to_y]: [f64; 2], colour: &str) {
        self.push(&format!(r#"<path d="M{x:.1} {y:.1}L{to_x:.1} {to_y:.1}" stroke="{colour}"/>"#));
    }

    /// A text, which must not contain markup.
    pub(crate) fn text(&mut self, [x, y]: [f64; 2], how: Type, text: &str) {
        let Type { size, bold, colour, anchor } = how;
        let weight = if bold { r#" font-weight="600""# } else { "" };
        self.push(&format!(
            r#"<text x="{x:.1}" y="{y:.1}" font-size="{size}" fill="{colour}" text-anchor="{anchor}"{weight}>{text}</text>"#
        ));
    }

    /// The picture, on a background of its own, as wide as there is room for.
    pub(crate) fn finish(self, title: &str, [width, height]: [f64; 2]) -> String {
        let [inner_width, inner_height] = [width - 1.0, height - 1.0];
        format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" style="max-width:100%;height:auto" width="{width}" height="{height}" font-family="system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif" role="img">
<title>{title}</title>
<rect x="0.5" y="0.5" width="{inner_width}" height="{inner_height}" rx="8" fill="#ffffff" stroke="#d0d7de"/>
{}</svg>
"##,
            self.body
        )
    }

    fn push(&mut self, element: &str) {
        self.body.push_str(element);
        self.body.push('\n');
    }
}
