//! SVG by hand: a few elements, and nothing that needs a library.

/// A picture under construction. Coordinates are in pixels.
#[derive(Debug, Default)]
pub(crate) struct Svg {
    body: String,
}

/// Where a text stands relative to its point.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// How a text looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Type {
    pub(crate) size: f64,
    pub(crate) bold: bool,
    pub(crate) colour: &'static str,
    pub(crate) anchor: Anchor,
}

impl Svg {
    /// A filled rectangle, its corners rounded a little if it is high enough.
    pub(crate) fn rect(&mut self, [x, y]: [f64; 2], [width, height]: [f64; 2], fill: &str) {
        let radius = if height > 8.0 && width > 8.0 { 2 } else { 0 };
        self.push(&format!(
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" rx="{radius}" fill="{fill}"/>"#
        ));
    }

    /// A line.
    pub(crate) fn line(&mut self, [x, y]: [f64; 2], [to_x, to_y]: [f64; 2], colour: &str) {
        self.push(&format!(r#"<path d="M{x:.1} {y:.1}L{to_x:.1} {to_y:.1}" stroke="{colour}"/>"#));
    }

    /// Upright strokes that stand on one line, at the places given.
    pub(crate) fn strokes(
        &mut self,
        places: impl Iterator<Item = f64>,
        foot: f64,
        height: f64,
        colour: &str,
    ) {
        let top = foot - height;
        let path: String = places.map(|x| format!("M{x:.1} {top:.1}v{height:.1}")).collect();
        if !path.is_empty() {
            self.push(&format!(r#"<path d="{path}" stroke="{colour}" stroke-width="2"/>"#));
        }
    }

    /// A disc with a rim of a colour and a width.
    pub(crate) fn disc(
        &mut self,
        [x, y]: [f64; 2],
        radius: f64,
        fill: &str,
        (rim, width): (&str, f64),
    ) {
        self.push(&format!(
            r#"<circle cx="{x:.1}" cy="{y:.1}" r="{radius}" fill="{fill}" stroke="{rim}" stroke-width="{width}"/>"#
        ));
    }

    /// A text, which must not contain markup.
    pub(crate) fn text(&mut self, [x, y]: [f64; 2], how: Type, text: &str) {
        let Type { size, bold, colour, anchor } = how;
        let weight = if bold { r#" font-weight="600""# } else { "" };
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.push(&format!(
            r#"<text x="{x:.1}" y="{y:.1}" font-size="{size}" fill="{colour}" text-anchor="{anchor}"{weight}>{text}</text>"#
        ));
    }

    /// The picture, on a background of its own.
    pub(crate) fn finish(self, title: &str, [width, height]: [f64; 2]) -> String {
        let [inner_width, inner_height] = [width - 1.0, height - 1.0];
        format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" font-family="system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif" role="img">
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
