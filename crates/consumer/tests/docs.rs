//! The page for those who come from sqsconsumer shows the example as it is compiled.

#[test]
fn the_page_shows_the_example_that_is_compiled() {
    let page = include_str!("../../../docs/from-sqsconsumer.md");
    let example = include_str!("../examples/respond.rs").trim();
    assert!(page.contains(example), "copy examples/respond.rs into docs/from-sqsconsumer.md again");
    let lines = example.lines().filter(|line| !line.trim().is_empty()).count();
    assert!(page.contains(&format!("Ours has {lines},")), "it has {lines} lines that are not empty");
}
