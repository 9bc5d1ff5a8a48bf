//! The few SVG shapes that the picture uses.

use std::fmt::Write;

/// What an arrow represents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stroke {
    /// Data.
    Data,
    /// Notifications one way.
    Notify,
    /// Notifications both ways.
    NotifyBoth,
    /// Control of a thread.
    Control,
    /// Faults.
    Faults,
}

impl Stroke {
    /// Width and dashes.
    const fn look(self) -> (f64, &'static str) {
        match self {
            Self::Data => (1.8, ""),
            Self::Notify | Self::NotifyBoth => (1.5, "6 4"),
            Self::Control => (3.2, ""),
            Self::Faults => (1.8, "1.5 4"),
        }
    }
}

/// The drawing so far. Writing to a string cannot fail.
#[derive(Debug, Default)]
pub struct Canvas(String);

/// Length of an arrow's head.
const HEAD: f64 = 9.0;
const FONT: &str = "Inter, 'Helvetica Neue', Arial, 'Liberation Sans', sans-serif";

impl Canvas {
    /// A box with rounded corners; a dashed one is a device or Microkit's.
    pub fn rect(
        &mut self,
        x: f64,
        y: f64,
        width: f64,
        height: f64,
        colours: (&str, &str),
        dashed: bool,
    ) {
        let dash = if dashed {
            " stroke-dasharray=\"5 3\""
        } else {
            ""
        };
        let _ = writeln!(
            self.0,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"{}\" stroke=\"{}\" stroke-width=\"1.3\"{dash}/>",
            colours.0, colours.1
        );
    }

    /// A line of text.
    #[allow(clippy::too_many_arguments)]
    pub fn text(
        &mut self,
        x: f64,
        y: f64,
        size: f64,
        colour: &str,
        anchor: &str,
        bold: bool,
        text: &str,
    ) {
        let weight = if bold { " font-weight=\"600\"" } else { "" };
        let text = text
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;");
        let _ = writeln!(
            self.0,
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" fill=\"{colour}\" text-anchor=\"{anchor}\"{weight}>{text}</text>"
        );
    }

    /// A line without heads.
    pub fn line(&mut self, points: &[(f64, f64)], colour: &str) {
        self.path(points, colour, 1.3, "");
    }

    /// A line without heads, in the style of this kind of arrow.
    pub fn dashes(&mut self, points: &[(f64, f64)], colour: &str, stroke: Stroke) {
        let (width, dash) = stroke.look();
        self.path(points, colour, width, dash);
    }

    /// A straight arrow from the first to the last of its points.
    pub fn arrow(&mut self, points: &[(f64, f64)], colour: &str, stroke: Stroke) {
        let (width, dash) = stroke.look();
        let [(x0, y0), .., (x1, y1)] = points else {
            return;
        };
        let length = (x1 - x0).hypot(y1 - y0);
        let (dx, dy) = ((x1 - x0) / length, (y1 - y0) / length);
        // The line ends under the head; otherwise it would stick out.
        let short = HEAD - 2.0;
        let both = stroke == Stroke::NotifyBoth;
        let start = if both {
            (x0 + dx * short, y0 + dy * short)
        } else {
            (*x0, *y0)
        };
        self.path(
            &[start, (x1 - dx * short, y1 - dy * short)],
            colour,
            width,
            dash,
        );
        self.head((*x1, *y1), (dx, dy), colour);
        if both {
            self.head((*x0, *y0), (-dx, -dy), colour);
        }
    }

    fn path(&mut self, points: &[(f64, f64)], colour: &str, width: f64, dash: &str) {
        let points: Vec<_> = points
            .iter()
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        let dash = if dash.is_empty() {
            String::new()
        } else {
            format!(" stroke-dasharray=\"{dash}\" stroke-linecap=\"round\"")
        };
        let _ = writeln!(
            self.0,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"{dash}/>",
            points.join(" ")
        );
    }

    fn head(&mut self, (x, y): (f64, f64), (dx, dy): (f64, f64), colour: &str) {
        let (bx, by) = (x - dx * HEAD, y - dy * HEAD);
        let (nx, ny) = (-dy * HEAD * 0.5, dx * HEAD * 0.5);
        let _ = writeln!(
            self.0,
            "<polygon points=\"{x:.1},{y:.1} {:.1},{:.1} {:.1},{:.1}\" fill=\"{colour}\"/>",
            bx + nx,
            by + ny,
            bx - nx,
            by - ny
        );
    }

    /// The complete picture, on white, so that it can be read on a dark page.
    pub fn finish(self, width: f64, height: f64) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
             font-family=\"{FONT}\" role=\"img\" aria-label=\"Authority graph of sel4-llm\">\n\
             <rect width=\"{width}\" height=\"{height}\" rx=\"12\" fill=\"#ffffff\"/>\n{}</svg>\n",
            self.0
        )
    }
}
