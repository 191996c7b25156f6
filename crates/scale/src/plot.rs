//! Draws the figures as an SVG: what a registration costs in CPU time, relative to the smallest store, by the number of devices.

use std::fmt::Write as _;

use crate::compare::Comparison;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
/// The edges of the field with the curves.
const LEFT: f64 = 60.0;
const RIGHT: f64 = 690.0;
const TOP: f64 = 60.0;
const BOTTOM: f64 = 340.0;
/// The highest ratio that is drawn.
const RATIO_MAX: f64 = 2.0;
/// What the ratio shall not exceed.
const GOAL: f64 = 1.5;
/// Powers of ten of the number of devices, from the left edge to the right.
const DECADES: [f64; 2] = [3.7, 7.3];

/// A figure: so much at so many devices, with its spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Devices.
    pub devices: f64,
    /// The least ratio of a pair of slices, the ratio over all, the greatest of a pair.
    pub ratio: [f64; 3],
}

/// The drawing of these comparisons. Each store is a curve.
pub fn plot(comparisons: &[Comparison]) -> String {
    let mut drawing = frame();
    for (index, (store, name, colour)) in
        [("embedded", "embedded store", "#0b62a4"), ("postgres", "PostgreSQL", "#b5480f")].into_iter().enumerate()
    {
        let mut points: Vec<Point> = comparisons.iter().filter(|comparison| comparison.store == store).map(point).collect();
        points.sort_by(|one, other| one.devices.total_cmp(&other.devices));
        // The two are drawn a little apart, so that neither hides the other's spread.
        drawing.push_str(&curve(&points, colour, index as f64 * 6.0 - 3.0));
        let (x, y) = (LEFT + 14.0, TOP + 20.0 + index as f64 * 20.0);
        let _ = writeln!(drawing, "<rect x=\"{x}\" y=\"{}\" width=\"14\" height=\"4\" fill=\"{colour}\"/>", y - 6.0);
        let _ = writeln!(drawing, "<text x=\"{}\" y=\"{y}\">{name}</text>", x + 20.0);
    }
    drawing.push_str("</svg>\n");
    drawing
}

/// Over all slices, since work in the background comes in lumps that a median would leave out; the spread is that of the pairs.
fn point(comparison: &Comparison) -> Point {
    let [least, _, greatest] = comparison.ratio(|cost| cost.cpu_us());
    let overall = comparison.large.cpu_us() / comparison.small.cpu_us();
    Point { devices: comparison.large.opened.size.registered as f64, ratio: [least, overall, greatest] }
}

fn frame() -> String {
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"13\" fill=\"#333\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"28\" font-size=\"16\">CPU time of one registration, relative to a store of 10,000 devices in the same run</text>\n"
    );
    for tenths in (0..=20).step_by(5) {
        let ratio = f64::from(tenths) / 10.0;
        let (y, dashes) =
            (y(ratio), if (ratio - GOAL).abs() < f64::EPSILON { " stroke-dasharray=\"6 4\" stroke=\"#a00\"" } else { " stroke=\"#ddd\"" });
        let _ = writeln!(out, "<line x1=\"{LEFT}\" y1=\"{y}\" x2=\"{RIGHT}\" y2=\"{y}\"{dashes}/>");
        let _ = writeln!(out, "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{ratio:.1}</text>", LEFT - 8.0, y + 4.0);
    }
    let _ = writeln!(out, "<text x=\"{RIGHT}\" y=\"{}\" text-anchor=\"end\" fill=\"#a00\">goal: at most {GOAL}</text>", y(GOAL) - 6.0);
    for (devices, name) in [(1e4, "10 k"), (1e5, "100 k"), (1e6, "1 M"), (1e7, "10 M")] {
        let _ = writeln!(out, "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{name}</text>", x(devices), BOTTOM + 20.0);
    }
    let _ = writeln!(
        out,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">devices enrolled and registered</text>",
        (LEFT + RIGHT) / 2.0,
        BOTTOM + 44.0
    );
    out
}

fn curve(points: &[Point], colour: &str, aside: f64) -> String {
    let mut out = String::new();
    let line: Vec<String> = points.iter().map(|point| format!("{:.1},{:.1}", x(point.devices) + aside, y(point.ratio[1]))).collect();
    let _ = writeln!(out, "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>", line.join(" "));
    for Point { devices, ratio: [least, overall, greatest] } in points {
        let x = x(*devices) + aside;
        let _ = writeln!(
            out,
            "<line x1=\"{x:.1}\" y1=\"{:.1}\" x2=\"{x:.1}\" y2=\"{:.1}\" stroke=\"{colour}\"/><circle cx=\"{x:.1}\" cy=\"{:.1}\" r=\"4\" fill=\"{colour}\"/>",
            y(*least),
            y(*greatest),
            y(*overall)
        );
        let _ = writeln!(out, "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\">{overall:.2}</text>", x + 7.0, y(*overall) + aside * 3.0);
    }
    out
}

fn x(devices: f64) -> f64 {
    let [first, last] = DECADES;
    LEFT + (devices.max(1.0).log10() - first) / (last - first) * (RIGHT - LEFT)
}

fn y(ratio: f64) -> f64 {
    BOTTOM - ratio.min(RATIO_MAX) / RATIO_MAX * (BOTTOM - TOP)
}
