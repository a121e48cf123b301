//! The curve as a picture: P(consistent) by the time since the write was answered.
//!
//! A picture that needs nothing beside itself, and is light or dark as its reader's page is.

use crate::numbers::float;
use crate::outcome::Outcome;
use std::fmt::Write;

/// The most curves of a picture: more cannot be told apart.
pub const CURVES_MAX: usize = 6;

const WIDTH: f64 = 820.0;
/// Without a legend.
const HEIGHT: f64 = 466.0;
const LEGEND_TOP: f64 = 476.0;
const LEGEND_ROW: f64 = 24.0;
const LEGEND_COLUMNS_MAX: usize = 2;
/// From the line of a legend's entry to its words.
const LEGEND_WORDS: f64 = 38.0;
/// How wide a letter of the text is at most, on average: wider than those of the fonts that browsers have for it.
const LETTER: f64 = 8.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 796.0;
const TOP: f64 = 78.0;
const BOTTOM: f64 = 400.0;
/// Where the curves begin, behind the dots for t = 0: a logarithmic scale has no 0.
const BEGIN: f64 = LEFT + 46.0;
/// Points of a curve.
const POINTS: u32 = 360;
/// Decades of the scale at most; what is shorter than so many decades below the longest time is drawn at the left.
const DECADES_MAX: f64 = 6.0;
/// Up to where the scale reaches.
const LAST: f64 = 0.9999;
/// What is marked on a curve that is alone.
const MARKS: [f64; 3] = [0.9, 0.99, 0.999];

const STYLE: &str = "\
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.card { fill: #ffffff; stroke: #d0d7de }
.head { font-weight: 600; font-size: 15px }
.over { paint-order: stroke; stroke: #ffffff; stroke-width: 5px }
.soft { fill: #59636e; font-size: 12px }
.grid { stroke: #d0d7de }
.minor { stroke: #eaeef2 }
.mark { stroke: #59636e; stroke-dasharray: 4 3 }
.curve { fill: none; stroke-width: 2.5; stroke-linejoin: round }
.c0 { stroke: #0969da } .c1 { stroke: #bc4c00 } .c2 { stroke: #1a7f37 }
.c3 { stroke: #8250df } .c4 { stroke: #cf222e } .c5 { stroke: #7d4e00 }
.dot { fill: #ffffff; stroke-width: 2.5 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.card { fill: #0d1117; stroke: #3d444d }
.soft { fill: #9198a1 }
.over { stroke: #0d1117 }
.grid { stroke: #3d444d }
.minor { stroke: #21262d }
.mark { stroke: #9198a1 }
.c0 { stroke: #4493f8 } .c1 { stroke: #f0883e } .c2 { stroke: #3fb950 }
.c3 { stroke: #ab7df8 } .c4 { stroke: #f85149 } .c5 { stroke: #d29922 }
.dot { fill: #0d1117 }
}
";

/// A curve and its name.
#[derive(Debug, Clone, Copy)]
pub struct Curve<'a> {
    /// What the legend calls it.
    pub label: &'a str,
    /// The trials.
    pub outcome: &'a Outcome,
}

/// From times and probabilities to places on the picture.
struct Scale {
    /// Decades of milliseconds.
    first: f64,
    last: f64,
    /// The lowest probability.
    lowest: f64,
}

impl Scale {
    fn of(curves: &[Curve<'_>]) -> Self {
        let over =
            |of: &dyn Fn(&Outcome) -> f64| curves.iter().map(|curve| of(curve.outcome)).collect::<Vec<_>>();
        let longest = over(&|outcome| outcome.time_for(LAST).ms).into_iter().fold(0.0, f64::max);
        // Where a curve has risen by a percentage point, as far as it can.
        let early =
            |outcome: &Outcome| outcome.time_for((outcome.consistent_at(0.0).value + 0.01).min(LAST)).ms;
        let shortest = over(&early).into_iter().filter(|time| *time > 0.0).fold(longest, f64::min);
        // Curves that are 1 from the start: any scale will do.
        let (longest, shortest) = if longest > 0.0 { (longest, shortest) } else { (1.0, 1.0) };
        let last = longest.log10().ceil();
        let first = shortest.log10().floor().clamp(last - DECADES_MAX, last - 1.0);
        let low = over(&|outcome| outcome.consistent_at(0.0).value).into_iter().fold(1.0, f64::min);
        Self { first, last, lowest: ((low * 10.0).floor() / 10.0).min(0.9) }
    }

    fn x(&self, t_ms: f64) -> f64 {
        let decades = t_ms.max(f64::MIN_POSITIVE).log10();
        BEGIN + (RIGHT - BEGIN) * ((decades - self.first) / (self.last - self.first)).clamp(0.0, 1.0)
    }

    fn y(&self, probability: f64) -> f64 {
        BOTTOM - (BOTTOM - TOP) * (probability - self.lowest) / (1.0 - self.lowest)
    }
}

/// A time as people read it: three digits and a unit.
pub fn told_ms(ms: f64) -> String {
    let (value, unit) = match ms {
        ms if ms < 0.000_5 => return "0 ms".to_owned(),
        ms if ms < 1_000.0 => (ms, "ms"),
        ms if ms < 60_000.0 => (ms / 1_000.0, "s"),
        ms if ms < 3_600_000.0 => (ms / 60_000.0, "min"),
        ms => (ms / 3_600_000.0, "h"),
    };
    let digits = match value {
        value if value < 0.1 => 4,
        value if value < 1.0 => 3,
        value if value < 10.0 => 2,
        value if value < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {unit}")
}

/// A probability in per cent, with as many digits as tell it from 100.
pub fn told_share(share: f64) -> String {
    let digits = match 1.0 - share {
        rest if rest <= 0.0 || rest >= 0.1 => 1,
        rest if rest >= 0.01 => 2,
        rest if rest >= 0.001 => 3,
        rest if rest >= 0.000_1 => 4,
        rest if rest >= 0.000_01 => 5,
        _ => 7,
    };
    let text = format!("{:.digits$}", share * 100.0);
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text} %")
}

fn put(to: &mut String, element: std::fmt::Arguments<'_>) {
    // Writing into a string cannot fail.
    writeln!(to, "{element}").ok();
}

fn text(to: &mut String, (x, y): (f64, f64), class: &str, anchor: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    put(
        to,
        format_args!(
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>"
        ),
    );
}

fn line(to: &mut String, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
    put(
        to,
        format_args!("<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"),
    );
}

fn grid(to: &mut String, scale: &Scale) {
    let mut decade = scale.first;
    while decade <= scale.last {
        let at = 10_f64.powf(decade);
        for minor in [2.0, 5.0] {
            if decade < scale.last {
                let x = scale.x(at * minor);
                line(to, "minor", (x, TOP), (x, BOTTOM));
            }
        }
        let x = scale.x(at);
        line(to, "grid", (x, TOP), (x, BOTTOM));
        let label = match at {
            at if at < 0.005 => format!("{:.0} µs", at * 1_000.0),
            at if at < 0.95 => format!("{} ms", (at * 100.0).round() / 100.0),
            at if at < 950.0 => format!("{at:.0} ms"),
            at => format!("{:.0} s", at / 1_000.0),
        };
        text(to, (x, BOTTOM + 20.0), "soft", if decade < scale.last { "middle" } else { "end" }, &label);
        decade += 1.0;
    }
    text(to, (LEFT, BOTTOM + 20.0), "soft", "middle", "0");
    line(to, "grid", (LEFT, TOP), (LEFT, BOTTOM));
    let steps = if scale.lowest < 0.45 {
        0.2
    } else if scale.lowest < 0.85 {
        0.1
    } else {
        0.02
    };
    let mut probability = 1.0;
    while probability >= scale.lowest - 1e-9 {
        let y = scale.y(probability);
        line(to, "grid", (LEFT, y), (RIGHT, y));
        text(to, (LEFT - 10.0, y + 4.0), "soft", "end", &format!("{:.0} %", probability * 100.0));
        probability -= steps;
    }
}

/// The dot at 0, and from there the curve.
fn curve(to: &mut String, scale: &Scale, outcome: &Outcome, class: &str) {
    let at_once = scale.y(outcome.consistent_at(0.0).value);
    let mut path = format!("M{LEFT:.1} {at_once:.1}");
    for point in 0..=POINTS {
        let x = BEGIN + (RIGHT - BEGIN) * f64::from(point) / f64::from(POINTS);
        let decades = scale.first + (scale.last - scale.first) * f64::from(point) / f64::from(POINTS);
        let y = scale.y(outcome.consistent_at(10_f64.powf(decades)).value);
        // Writing into a string cannot fail.
        write!(path, "L{x:.1} {y:.1}").ok();
    }
    put(to, format_args!("<path class=\"curve {class}\" d=\"{path}\"/>"));
    dot(to, (LEFT, at_once), class);
}

fn dot(to: &mut String, (x, y): (f64, f64), class: &str) {
    put(to, format_args!("<circle class=\"dot {class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>"));
}

/// What a curve that is alone says at a glance.
fn marks(to: &mut String, scale: &Scale, outcome: &Outcome) {
    let at_once = outcome.consistent_at(0.0).value;
    let words = format!("{} at once", told_share(at_once));
    let y = scale.y(at_once);
    text(to, (LEFT + 12.0, if y > BOTTOM - 24.0 { y - 12.0 } else { y + 20.0 }), "over", "start", &words);
    let wanted = MARKS.into_iter().filter(|probability| *probability > at_once);
    for (row, probability) in wanted.enumerate() {
        let time = outcome.time_for(probability).ms;
        let (x, y) = (scale.x(time), scale.y(probability));
        line(to, "mark", (x, y), (x, BOTTOM));
        dot(to, (x, y), "c0");
        let words = format!("{} after {}", told_share(probability), told_ms(time));
        let below = BOTTOM - 64.0 + 24.0 * f64::from(u32::try_from(row).unwrap_or_default());
        let (x, anchor) = if x > f64::midpoint(LEFT, RIGHT) { (x - 8.0, "end") } else { (x + 8.0, "start") };
        text(to, (x, below), "over", anchor, &words);
    }
}

/// Words that are no wider than this, in pixels: the end of longer ones is left out, and an ellipsis stands for it.
fn fitting(words: &str, width: f64) -> String {
    if fits(words, width) {
        return words.to_owned();
    }
    let ends = words.char_indices().enumerate().take_while(|(before, _)| LETTER * float(before + 1) <= width);
    let end = ends.last().map_or(0, |(_, (at, _))| at);
    format!("{}…", words.get(..end).unwrap_or_default().trim_end())
}

fn fits(words: &str, width: f64) -> bool {
    LETTER * float(words.chars().count()) <= width
}

/// The columns of a legend: two where all its entries are short enough, else one.
fn legend_columns(curves: &[Curve<'_>]) -> usize {
    let short = |curve: &Curve<'_>| fits(&entry(curve, f64::INFINITY), entry_width(LEGEND_COLUMNS_MAX));
    if curves.iter().all(short) { LEGEND_COLUMNS_MAX } else { 1 }
}

fn column_width(columns: usize) -> f64 {
    (RIGHT - LEFT) / float(columns)
}

/// How wide the words beside the line of an entry may be.
fn entry_width(columns: usize) -> f64 {
    column_width(columns) - LEGEND_WORDS
}

/// The words of an entry. Its name is cut where they are too wide, and never its time.
fn entry(curve: &Curve<'_>, width: f64) -> String {
    let time = format!(": 99.9 % after {}", told_ms(curve.outcome.time_for(0.999).ms));
    let left = width - LETTER * float(time.chars().count());
    format!("{}{time}", fitting(curve.label, left))
}

/// What tells curves apart, beneath the axis.
fn legend(to: &mut String, curves: &[Curve<'_>], columns: usize) {
    for (n, curve) in curves.iter().enumerate() {
        let (column, row) = (n % columns, n / columns);
        let x = LEFT + column_width(columns) * float(column);
        let y = LEGEND_TOP + LEGEND_ROW * float(row);
        put(to, format_args!("<path class=\"curve c{n}\" d=\"M{x:.1} {:.1}h28\"/>", y - 4.0));
        text(to, (x + LEGEND_WORDS, y), "", "start", &entry(curve, entry_width(columns)));
    }
}

/// Draws up to [`CURVES_MAX`] curves on one scale, under a title and a line that says what they are of.
pub fn draw(title: &str, under: &str, curves: &[Curve<'_>]) -> String {
    let curves = curves.get(..CURVES_MAX).unwrap_or(curves);
    let scale = Scale::of(curves);
    let mut body = String::new();
    text(&mut body, (24.0, 34.0), "head", "start", title);
    text(&mut body, (24.0, 54.0), "soft", "start", &fitting(under, RIGHT - 24.0));
    grid(&mut body, &scale);
    for (n, one) in curves.iter().enumerate() {
        curve(&mut body, &scale, one.outcome, &format!("c{n}"));
    }
    let height = match curves {
        [alone] => {
            marks(&mut body, &scale, alone.outcome);
            HEIGHT
        }
        several => {
            let columns = legend_columns(several);
            legend(&mut body, several, columns);
            HEIGHT + LEGEND_ROW * float(several.len().div_ceil(columns)) + 6.0
        }
    };
    let axis = "time between the write's answer and the read, logarithmic";
    text(&mut body, (f64::midpoint(LEFT, RIGHT), BOTTOM + 46.0), "soft", "middle", axis);
    let plain = title.replace('&', "&amp;").replace('<', "&lt;");
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\">\n\
         <title>{plain}</title>\n<style>\n{STYLE}</style>\n\
         <rect class=\"card\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"8\"/>\n{body}</svg>\n",
        WIDTH - 1.0,
        height - 1.0,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preset::Preset;
    use crate::quorum::Quorum;
    use crate::wars::run;
    use std::num::NonZeroUsize;

    fn outcome(n: u16, r: u16, w: u16) -> Outcome {
        let wars = Preset::LnkdDisk.wars().unwrap();
        run(Quorum::new(n, r, w).unwrap(), &wars, 20_000, 1, NonZeroUsize::MIN).unwrap()
    }

    #[test]
    fn times_and_shares_as_people_read_them() {
        for (ms, told) in [
            (0.0, "0 ms"),
            (0.02345, "0.0234 ms"),
            (0.2345, "0.234 ms"),
            (1.8512, "1.85 ms"),
            (45.52, "45.5 ms"),
            (345.6, "346 ms"),
            (1_364.0, "1.36 s"),
            (90_000.0, "1.50 min"),
        ] {
            assert_eq!(told_ms(ms), told);
        }
        for (share, told) in [
            (0.0, "0 %"),
            (0.439, "43.9 %"),
            (0.9735, "97.35 %"),
            (0.999, "99.9 %"),
            (1.0, "100 %"),
            (0.999_999_9, "99.99999 %"),
        ] {
            assert_eq!(told_share(share), told);
        }
    }

    /// Every place is on the picture, whatever the curve.
    #[test]
    fn pictures_are_whole() {
        let (partial, strict) = (outcome(3, 1, 1), outcome(3, 2, 2));
        let curve = |outcome| Curve { label: "a<b", outcome };
        for curves in [vec![curve(&partial)], vec![curve(&strict)], vec![curve(&partial), curve(&strict)]] {
            let svg = draw("P(consistent) & more", "under", &curves);
            assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            assert!(svg.contains("P(consistent) &amp; more") && !svg.contains("a<b"));
            assert_eq!(svg.matches("<path class=\"curve").count(), if curves.len() == 1 { 1 } else { 4 });
            for place in svg.split("cy=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
                let y: f64 = place.parse().unwrap();
                assert!((TOP..=BOTTOM).contains(&y), "{y}");
            }
        }
    }

    /// The words of the legend, with where they begin.
    fn entries(svg: &str) -> Vec<(f64, f64, &str)> {
        let texts = svg.split("<text class=\"\" x=\"").skip(1);
        texts
            .map(|rest| {
                let (x, rest) = rest.split_once("\" y=\"").unwrap();
                let (y, rest) = rest.split_once("\" text-anchor=\"start\">").unwrap();
                (x.parse().unwrap(), y.parse().unwrap(), rest.split_once("</text>").unwrap().0)
            })
            .collect()
    }

    #[test]
    fn long_names_are_one_under_another_and_cut_at_the_edge() {
        let outcome = outcome(3, 1, 1);
        let short = "W exp:4";
        let longer = "W 0.5*exp(1)+0.5*pareto(1,2), N=3 R=1 W=1";
        let longest = "0.0625*exp(1)+".repeat(200);
        for (labels, columns) in
            [([short; 3], 2), ([short, longer, short], 1), ([short, &longest, longer], 1)]
        {
            let svg = draw("t", &longest, &labels.map(|label| Curve { label, outcome: &outcome }));
            let found = entries(&svg);
            assert_eq!(found.len(), 3);
            for (n, (x, y, words)) in found.iter().enumerate() {
                assert!(x + LETTER * float(words.chars().count()) <= RIGHT, "{words}");
                assert!(found.iter().take(n).all(|other| other.1 < *y || columns == 2 && other.0 < *x));
                assert!(words.contains(": 99.9 % after "), "{words}");
                assert_eq!(words.contains('…'), labels.get(n).unwrap().len() > 80, "{words}");
            }
            let rows = float(3_usize.div_ceil(columns));
            assert!(svg.contains(&format!("height=\"{}\"", HEIGHT + LEGEND_ROW * rows + 6.0)));
            assert!(!svg.contains(&longest), "neither is the line under the title wider than the picture");
        }
    }

    #[test]
    fn equal_runs_draw_equal_pictures() {
        let draw = || draw("t", "u", &[Curve { label: "l", outcome: &outcome(3, 1, 1) }]);
        assert_eq!(draw(), draw());
    }
}
