//! One node from a shell's pipe: lines in, lines out, compared whole.

use crate::process::{Process, pipe};
use serde_json::{Value, json};
use std::io::Read;

const INIT: &str =
    r#"{"id":0,"src":"c0","dest":"n1","body":{"type":"init","msg_id":1,"node_id":"n1","node_ids":["n1"]}}"#;

/// A node alone: the answers to these bodies of client `c1`, without that to `init`.
fn alone(workload: &str, bodies: &[Value]) -> Vec<Value> {
    let mut lines = vec![INIT.to_owned()];
    lines.extend(
        bodies.iter().map(|body| json!({"id": 1, "src": "c1", "dest": "n1", "body": body}).to_string()),
    );
    let mut answers = pipe(workload, &lines.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(
        answers.remove(0),
        json!({"src": "n1", "dest": "c0", "body": {"type": "init_ok", "in_reply_to": 1}})
    );
    let bodies = answers.iter_mut().map(|answer| {
        let body = answer["body"].take();
        assert_eq!(*answer, json!({"src": "n1", "dest": "c1", "body": null}));
        body
    });
    bodies.collect()
}

fn ok(kind: &str, to: u64) -> Value {
    json!({"type": kind, "in_reply_to": to})
}

/// The code of an error, which has a text and nothing else.
fn refused(answer: &Value, to: u64) -> u64 {
    let text = answer["text"].as_str().unwrap_or_else(|| panic!("{answer}"));
    let code = answer["code"].as_u64().unwrap();
    assert_eq!(*answer, json!({"type": "error", "in_reply_to": to, "code": code, "text": text}));
    code
}

#[test]
fn echo() {
    let payload = json!({"a": [1, -2.5, null, true, "ü\u{1F600}\n"]});
    let answers = alone("echo", &[json!({"type": "echo", "msg_id": 2, "echo": payload})]);
    assert_eq!(answers, [json!({"type": "echo_ok", "in_reply_to": 2, "echo": payload})]);
}

#[test]
fn unique_ids() {
    let answers = alone(
        "unique-ids",
        &[json!({"type": "generate", "msg_id": 2}), json!({"type": "generate", "msg_id": 3})],
    );
    let id = |counter| format!("{:032x}-{counter:016x}", 1);
    assert_eq!(
        answers,
        [
            json!({"type": "generate_ok", "in_reply_to": 2, "id": id(1)}),
            json!({"type": "generate_ok", "in_reply_to": 3, "id": id(2)}),
        ]
    );
}

#[test]
fn broadcast() {
    let answers = alone(
        "broadcast",
        &[
            json!({"type": "topology", "msg_id": 2, "topology": {"n1": []}}),
            json!({"type": "read", "msg_id": 3}),
            json!({"type": "broadcast", "msg_id": 4, "message": 7}),
            json!({"type": "broadcast", "msg_id": 5, "message": -3}),
            json!({"type": "broadcast", "msg_id": 6, "message": 7}),
            json!({"type": "read", "msg_id": 7}),
        ],
    );
    assert_eq!(
        answers,
        [
            ok("topology_ok", 2),
            json!({"type": "read_ok", "in_reply_to": 3, "messages": []}),
            ok("broadcast_ok", 4),
            ok("broadcast_ok", 5),
            ok("broadcast_ok", 6),
            json!({"type": "read_ok", "in_reply_to": 7, "messages": [-3, 7]}),
        ]
    );
}

#[test]
fn g_set() {
    let any =
        [json!(null), json!(false), json!(u64::MAX), json!(1.5), json!("a"), json!([1]), json!({"k": {}})];
    let mut bodies: Vec<Value> = (2..)
        .zip(&any)
        .map(|(id, element)| json!({"type": "add", "msg_id": id, "element": element}))
        .collect();
    bodies.reverse();
    bodies.push(json!({"type": "read", "msg_id": 20}));
    let mut answers = alone("g-set", &bodies);
    assert_eq!(answers.pop(), Some(json!({"type": "read_ok", "in_reply_to": 20, "value": any})));
    assert_eq!(answers, (2..9).rev().map(|id| ok("add_ok", id)).collect::<Vec<_>>());
}

#[test]
fn numbers_that_fit_nowhere_are_neither_rounded_nor_made_one() {
    let add = |id: u64, element: &str| {
        format!(r#"{{"src":"c1","dest":"n1","body":{{"type":"add","msg_id":{id},"element":{element}}}}}"#)
    };
    let read = r#"{"src":"c1","dest":"n1","body":{"type":"read","msg_id":9}}"#;
    let huge = "9".repeat(60);
    let lines = [
        INIT.to_owned(),
        add(2, "18446744073709551617"),
        add(3, "18446744073709551618"),
        add(4, &huge),
        read.to_owned(),
    ];
    let (mut process, mut output) = Process::start(&["g-set"]);
    for line in &lines {
        process.tell(line);
    }
    process.close_input();
    let mut all = String::new();
    output.read_to_string(&mut all).unwrap();
    let value = format!(r#""value":[18446744073709551617,18446744073709551618,{huge}]"#);
    assert!(all.contains(&value), "{all}");
}

#[test]
fn g_counter() {
    let mut answers = alone(
        "g-counter",
        &[
            json!({"type": "read", "msg_id": 2}),
            json!({"type": "add", "msg_id": 3, "delta": 5}),
            json!({"type": "add", "msg_id": 4, "delta": 0}),
            json!({"type": "add", "msg_id": 5, "delta": 7}),
            json!({"type": "read", "msg_id": 6}),
            json!({"type": "add", "msg_id": 7, "delta": -1}),
        ],
    );
    assert_eq!(refused(&answers.pop().unwrap(), 7), 12);
    assert_eq!(
        answers,
        [
            json!({"type": "read_ok", "in_reply_to": 2, "value": 0}),
            ok("add_ok", 3),
            ok("add_ok", 4),
            ok("add_ok", 5),
            json!({"type": "read_ok", "in_reply_to": 6, "value": 12}),
        ]
    );
}

#[test]
fn pn_counter() {
    let answers = alone(
        "pn-counter",
        &[
            json!({"type": "add", "msg_id": 2, "delta": 5}),
            json!({"type": "add", "msg_id": 3, "delta": -9}),
            json!({"type": "read", "msg_id": 4}),
        ],
    );
    assert_eq!(
        answers,
        [ok("add_ok", 2), ok("add_ok", 3), json!({"type": "read_ok", "in_reply_to": 4, "value": -4})]
    );
}

/// What does not fit is refused, and what is refused is not counted.
#[test]
fn counters_neither_wrap_nor_panic() {
    for workload in ["g-counter", "pn-counter"] {
        let mut bodies = vec![json!({"type": "add", "msg_id": 2, "delta": 3})];
        let unfit = [json!(1.5), json!("1"), json!(null), json!(1e300), json!([1])];
        bodies.extend(
            (3..).zip(&unfit).map(|(id, delta)| json!({"type": "add", "msg_id": id, "delta": delta})),
        );
        bodies.push(json!({"type": "add", "msg_id": 20, "delta": u64::MAX}));
        bodies.push(json!({"type": "add", "msg_id": 21, "delta": u64::MAX}));
        bodies.push(json!({"type": "read", "msg_id": 22}));
        let answers = alone(workload, &bodies);
        for (id, answer) in (3..).zip(&answers[1..=unfit.len()]) {
            assert_eq!(refused(answer, id), 12);
        }
        let mut sum = 3_i128;
        for (id, answer) in [(20, &answers[6]), (21, &answers[7])] {
            if *answer == ok("add_ok", id) {
                sum += i128::from(u64::MAX);
            } else {
                refused(answer, id);
            }
        }
        let read = &answers[8];
        assert_eq!(read["value"].to_string(), sum.to_string(), "{workload}: {answers:?}");
    }
}

/// Nothing that comes in ends the node, and only requests are answered.
#[test]
fn foreign_lines() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let deep =
        format!(r#"{{"src":"c1","dest":"n1","body":{{"type":"broadcast","msg_id":7,"message":{deep}}}}}"#);
    let init = INIT.replace(r#"["n1"]"#, r#"["n1","n2"]"#);
    let again = init.replace(r#""msg_id":1"#, r#""msg_id":8"#);
    let other = init.replace(r#""msg_id":1"#, r#""msg_id":9"#).replace(r#"node_id":"n1"#, r#"node_id":"n2"#);
    let lines: &[&str] = &[
        "",
        "   ",
        "no JSON",
        "\"\\",
        "null",
        "[1]",
        "{}",
        r#"{"src":1,"dest":"n1","body":{}}"#,
        r#"{"src":"c1","dest":"n1","body":[]}"#,
        r#"{"src":"c1","dest":"n1","body":{"msg_id":"x","type":"read"}}"#,
        r#"{"src":"c1","dest":"n1","body":{"type":"read","msg_id":2}}"#,
        r#"{"src":"c1","dest":"n1","body":{"type":"init","msg_id":3,"node_id":"n9","node_ids":["n1"]}}"#,
        &init,
        r#"{"src":"c1","dest":"n1","body":{"msg_id":4}}"#,
        r#"{"src":"c1","dest":"n1","body":{"type":"broadcast","msg_id":5}}"#,
        r#"{"src":"c1","dest":"n1","body":{"type":"topology","msg_id":6,"topology":7}}"#,
        &deep,
        &again,
        &other,
        r#"{"src":"n2","dest":"n1","body":{"type":"gossip_ok"}}"#,
        r#"{"src":"n2","dest":"n1","body":{"type":"error","in_reply_to":5,"code":10,"text":"no"}}"#,
        r#"{"src":"n2","dest":"n1","body":{"type":"what","in_reply_to":5,"msg_id":5}}"#,
        r#"{"src":"n2","dest":"n1","body":{"type":"what_ok","msg_id":5}}"#,
        r#"{"src":"n2","dest":"n1","body":{"type":"gossip","delta":[666]}}"#,
        r#"{"src":"n2","dest":"n1","body":{"type":"gossip","seq":1,"delta":{"a":666}}}"#,
        r#"{"src":"n2","dest":"n1","body":{"type":"gossip","seq":-1,"delta":[666]}}"#,
        r#"{"src":"n2","dest":"n1","body":{"type":"gossip","acks":"all"}}"#,
        r#"{"src":"n2","dest":"n1","body":{"type":"digest","parts":[],"answer":7}}"#,
        r#"{"src":"c1","dest":"n1","body":{"type":"gossip","seq":1,"delta":[666],"msg_id":10}}"#,
        r#"{"src":"c1","dest":"n1","body":{"type":"broadcast","message":"no reply"}}"#,
        r#"{"src":"c1","dest":"n1","body":{"type":"read","msg_id":11}}"#,
        r#"{"src":"c1","dest":"n1","body":{"type":"read","msg_id":-12}}"#,
    ];
    let answers = pipe("broadcast", lines);
    let codes: Vec<_> =
        answers.iter().map(|a| (a["body"]["in_reply_to"].as_i64(), a["body"]["code"].as_u64())).collect();
    let expected = [
        (Some(2), Some(11)),
        (Some(3), Some(12)),
        (Some(1), None),
        (Some(4), Some(12)),
        (Some(5), Some(12)),
        (Some(6), Some(12)),
        (Some(7), Some(12)),
        (Some(8), None),
        (Some(9), Some(22)),
        (Some(10), Some(10)),
        (Some(11), None),
        (Some(-12), None),
        (None, None),
    ];
    assert_eq!(codes, expected, "{answers:?}");
    assert_eq!(answers[10]["body"]["messages"], json!(["no reply"]), "and nothing of the foreign deltas");
    let last =
        json!({"src": "n1", "dest": "n2", "body": {"type": "gossip", "seq": 1, "delta": ["no reply"]}});
    assert_eq!(answers[12], last, "what was learned is told before the end");
}

#[test]
fn bytes_that_are_no_text() {
    let (mut process, mut output) = Process::start(&["echo"]);
    process.tell(INIT);
    process.tell_bytes(b"{\"src\":\"\xff\xfe\n\x00\n");
    process.tell(r#"{"src":"c1","dest":"n1","body":{"type":"echo","msg_id":2,"echo":1}}"#);
    // The last line has no end of line.
    process.tell_bytes(br#"{"src":"c1","dest":"n1","body":{"type":"echo","msg_id":3,"echo":2}}"#);
    process.close_input();
    let mut all = String::new();
    output.read_to_string(&mut all).unwrap();
    assert_eq!(all.lines().count(), 3, "{all}");
    assert!(process.wait().success());
}

#[test]
fn a_closed_output_ends_the_node() {
    let (mut process, output) = Process::start(&["echo"]);
    drop(output);
    process.tell(INIT);
    assert!(process.wait().success(), "no panic, and no error either: its reader had enough");
}

#[test]
fn usage() {
    let cases: [(&[&str], i32, bool); 6] = [
        (&["--help"], 0, true),
        (&["-h"], 0, true),
        (&[], 2, false),
        (&["kafka"], 2, false),
        (&["--verbose"], 2, false),
        (&["echo", "g-set"], 2, false),
    ];
    for (arguments, code, helps) in cases {
        let (mut process, mut output) = Process::start(arguments);
        let mut all = String::new();
        output.read_to_string(&mut all).unwrap();
        assert_eq!(process.wait().code(), Some(code), "{arguments:?}");
        assert_eq!(all.contains("Usage: maelstrom WORKLOAD"), helps, "{arguments:?}: {all}");
    }
}
