//! The ratios as a picture: bars on a logarithmic scale, ours at 1.

use crate::harness::Table;
use crate::table::digits;
use std::fmt::Write;

const WIDTH: f64 = 820.0;
const LEFT: f64 = 210.0;
const RIGHT: f64 = 740.0;
const LINE: f64 = 24.0;

/// Colours by classes: a card of its own colour, dark where the reader's page is, so it can be read on either.
const STYLE: &str = "\
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }\n\
  .card { fill: #ffffff; stroke: #d0d7de }\n\
  .head { font-weight: 600; font-size: 15px; paint-order: stroke; stroke: #ffffff; stroke-width: 5px }\n\
  .soft { fill: #59636e; font-size: 12px }\n\
  .grid { stroke: #d0d7de }\n\
  .one { stroke: #59636e; stroke-dasharray: 4 3 }\n\
  .ours { fill: #1a7f37 }\n\
  .theirs { fill: #8c959f }\n\
  @media (prefers-color-scheme: dark) {\n\
    text { fill: #e6edf3 }\n\
    .card { fill: #0d1117; stroke: #3d444d }\n\
    .head { stroke: #0d1117 }\n\
    .soft { fill: #9198a1 }\n\
    .grid { stroke: #3d444d }\n\
    .one { stroke: #9198a1 }\n\
    .ours { fill: #3fb950 }\n\
    .theirs { fill: #6e7681 }\n\
  }\n";

/// Draws all tables, one below the other, on one scale.
pub(crate) fn draw(tables: &[Table]) -> String {
    let ratios =
        || tables.iter().flat_map(|table| &table.rows).map(|row| row.ratio).filter(|ratio| ratio.is_finite());
    let first = ratios().fold(1.0, f64::min).log10().floor();
    let last = ratios().fold(1.0, f64::max).log10().ceil().max(first + 1.0);
    let x = |ratio: f64| LEFT + (RIGHT - LEFT) * (ratio.log10() - first) / (last - first);
    let mut body = String::new();
    let mut y = 34.0;
    put(&mut body, &text(20.0, y, "head", "start", "Time of an operation, as a multiple of ours"));
    y += 20.0;
    put(
        &mut body,
        &text(
            20.0,
            y,
            "soft",
            "start",
            "logarithmic scale; left of the dashed line is faster than ours, right of it slower",
        ),
    );
    let top = y + 12.0;
    for table in tables {
        y += 38.0;
        put(&mut body, &text(20.0, y, "head", "start", table.workload));
        for row in &table.rows {
            y += LINE;
            put(&mut body, &text(LEFT - 10.0, y, "", "end", row.name));
            let (one, end) = (x(1.0), x(row.ratio));
            let class = if row.name.starts_with("antiphon") { "ours" } else { "theirs" };
            let (from, width) = (one.min(end) - 1.5, (end - one).abs() + 3.0);
            put(
                &mut body,
                &format!(
                    "<rect class=\"{class}\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"14\" rx=\"2\"/>",
                    y - 12.0
                ),
            );
            put(&mut body, &text(one.max(end) + 8.0, y, "", "start", &format!("× {}", digits(row.ratio))));
        }
    }
    let bottom = y + 14.0;
    let mut grid = String::new();
    let mut power = first;
    while power <= last {
        let (at, class) = (x(10_f64.powf(power)), if power == 0.0 { "one" } else { "grid" });
        put(
            &mut grid,
            &format!(
                "<line class=\"{class}\" x1=\"{at:.1}\" y1=\"{top:.1}\" x2=\"{at:.1}\" y2=\"{bottom:.1}\"/>"
            ),
        );
        let label = if power < 0.0 {
            format!("× {}", 10_f64.powf(power))
        } else {
            format!("× {:.0}", 10_f64.powf(power))
        };
        put(&mut grid, &text(at, bottom + 18.0, "soft", "middle", &label));
        power += 1.0;
    }
    let height = bottom + 34.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" width=\"{WIDTH}\" height=\"{height:.0}\" role=\"img\">\n\
         <title>Time of an operation of each contender, as a multiple of ours</title>\n\
         <style>\n{STYLE}</style>\n\
         <rect class=\"card\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{:.1}\" rx=\"8\"/>\n{grid}{body}</svg>\n",
        WIDTH - 1.0,
        height - 1.0,
    )
}

fn put(to: &mut String, element: &str) {
    // Writing to a string cannot fail.
    writeln!(to, "{element}").ok();
}

fn text(x: f64, y: f64, class: &str, anchor: &str, text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    format!("<text{class} x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>")
}
