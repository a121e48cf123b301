//! Every lattice type, decoded from JSON.

use lattice::*;
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Debug;

/// A type under the name of its golden file, and what is to be done with input for it.
pub struct Type {
    /// `crates/lattice/tests/golden/<name>.json` holds states of it, which are its first seeds.
    pub name: &'static str,
    /// Panics on a finding.
    pub run: fn(&[u8]),
}

/// One line a type. The first byte of an input chooses the line by its number, so **new lines come last**: an insertion
/// gives the kept corpus to other types than those that it was found for.
///
/// `any` stands before a type whose laws hold for any values, however they came about; `one_history` before one that
/// promises nothing of the join of states that no history brings together, but that there is one (a dot with two
/// contents). `tests/laws` makes the same distinction.
macro_rules! types {
    ($($kind:ident $name:ident: $type:ty;)*) => {
        /// All of them. An input's first byte, modulo their number, is the index.
        pub const TYPES: &[Type] = &[$(Type { name: stringify!($name), run: $kind::<$type> },)*];
    };
}

types! {
    any max: Max<u64>;
    any min: Min<(Stamp, String)>;
    any lww: Lww<String>;
    any mv_register: MvRegister<String>;
    any tally: Tally;
    any gcounter: GCounter;
    any pncounter: PnCounter;
    one_history bounded_counter: BoundedCounter;
    any hyperloglog: HyperLogLog<4>;
    any gset: GSet<String>;
    any two_phase_set: TwoPhaseSet<u8>;
    any uset: USet<String>;
    any lww_set: LwwSet<u8, AddWins>;
    any lww_set_remove_wins: LwwSet<u8, RemoveWins>;
    any pn_set: PnSet<String>;
    any life: Life;
    any map: Map<ReplicaId, Max<u8>>;
    any pair: Pair<Max<u8>, Life>;
    one_history causal_context: CausalContext;
    one_history causal: Causal<DotFun<String>>;
    one_history or_set: OrSet<String>;
    one_history remove_wins_set: RemoveWinsSet<u8>;
    one_history enable_wins_flag: EnableWinsFlag;
    one_history disable_wins_flag: DisableWinsFlag;
    one_history or_map: OrMap<String, DotMap<u8, DotSet>>;
    one_history map_of_counters: OrMap<u8, Increments>;
    one_history reset_counter: ResetCounter;
    any two_phase_graph: TwoPhaseGraph<u8>;
    any dag: Dag<String>;
    any partial_order: PartialOrder<String>;
    one_history or_graph: OrGraph<String>;
    one_history sequence: Sequence<String>;
    one_history text: Text;
    one_history arrangement: Arrangement<String>;
    any lamport: Lamport;
    any version_vector: VersionVector;
    any dotted_version_vector_set: DottedVersionVectorSet<String>;
    any event_tree: EventTree;
}

/// Chooses a type, and has it decode the rest.
pub fn run(data: &[u8]) {
    if let Some((&choice, rest)) = data.split_first() {
        (TYPES[usize::from(choice) % TYPES.len()].run)(rest);
    }
}

/// Up to three states, a line each. (Compact JSON has no line break, so seeds of several states are joined with one.)
const STATES_MAX: usize = 3;

fn any<L: Lattice + Debug + Serialize + DeserializeOwned>(data: &[u8]) {
    let states = one_by_one::<L>(data);
    let laws = laws::check_exhaustively(&states);
    assert_eq!(laws, Ok(states.len().pow(3)));
}

fn one_history<L: Lattice + Debug + Serialize + DeserializeOwned>(data: &[u8]) {
    let states = one_by_one::<L>(data);
    for a in &states {
        for b in &states {
            let joined = a.clone().joined(b.clone());
            assert!(serde_json::to_vec(&joined).is_ok(), "a join encodes: {joined:?}");
        }
    }
}

/// The states that the lines decode to, and the bottom. Each survives its own encoding, and obeys the laws with the
/// bottom.
fn one_by_one<L: Lattice + Debug + Serialize + DeserializeOwned>(data: &[u8]) -> Vec<L> {
    let lines = data.split(|byte| *byte == b'\n').take(STATES_MAX);
    let mut states: Vec<L> = lines.filter_map(|line| serde_json::from_slice(line).ok()).collect();
    for state in &states {
        let bytes = serde_json::to_vec(state).expect("a state encodes");
        let again: L = serde_json::from_slice(&bytes).expect("what was encoded decodes");
        assert_eq!(again, *state, "to the same");
        assert_eq!(serde_json::to_vec(&again).ok().as_ref(), Some(&bytes), "equal states have equal bytes");
        assert_eq!(laws::check_exhaustively(&[L::default(), again]), Ok(8));
    }
    states.push(L::default());
    states
}
