//! The check itself is checked: each broken lattice is caught, by the law that it breaks.

use antiphon_lattice::{Lattice, laws};

/// A type whose join is the given function, over two small numbers.
macro_rules! caught {
    ($($name:ident: $join:expr, $law:literal;)*) => {$(
        #[test]
        fn $name() {
            #[derive(Clone, Debug, Default, PartialEq, Eq)]
            struct Broken(u8, u8);

            impl Lattice for Broken {
                fn join(&mut self, other: Self) -> bool {
                    let join: fn(&mut Self, Self) -> bool = $join;
                    join(self, other)
                }
            }

            let values: Vec<_> = [(0, 0), (1, 0), (0, 1), (1, 1), (1, 2), (2, 1)].map(|(a, b)| Broken(a, b)).into();
            let law = laws::check_exhaustively(&values).expect_err("is caught");
            assert!(law.starts_with($law), "{law}");
        }
    )*};
}

caught! {
    // Addition instead of join: counts every redelivery.
    sum: |a, b| { *a = Broken(a.0.wrapping_add(b.0), 0); b.0 > 0 }, "not idempotent";
    // The last to arrive wins, whatever its rank.
    arrival: |a, b| { let grew = *a != b && b != Broken(0, 0); if grew { *a = b; } grew }, "not commutative";
    // The greater rank wins, and of a tie the first to arrive.
    tie: |a, b| { let grew = b.0 > a.0; if grew { *a = b; } grew }, "default is not the bottom";
    tie_above_bottom: |a, b| {
        let grew = b.0 > a.0 || (*a == Broken(0, 0) && b != *a);
        if grew { *a = b; }
        grew
    }, "not commutative";
    // The least wins, with a bottom that is the least.
    upside_down: |a, b| { let grew = (b.0, b.1) < (a.0, a.1); if grew { *a = b; } grew }, "default is not the bottom";
    // The second field is not joined if the first grew.
    short_circuit: |a, b| {
        let raise = |mine: &mut u8, theirs: u8| { let grew = theirs > *mine; *mine = theirs.max(*mine); grew };
        raise(&mut a.0, b.0) || raise(&mut a.1, b.1)
    }, "default is not the bottom";
    always_news: |a, b| { *a = Broken(a.0.max(b.0), a.1.max(b.1)); true }, "dishonest answer";
    never_news: |a, b| { *a = Broken(a.0.max(b.0), a.1.max(b.1)); false }, "dishonest answer";
    // Stone, scissors, paper: each pair is settled, the three are not.
    rock_paper_scissors: |a, b| {
        let beats = |x: u8, y: u8| x != y && (y == 0 || (x != 0 && (x + 1) % 3 == y % 3));
        let grew = beats(b.0 + b.1, a.0 + a.1);
        if grew || (b.0 + b.1 == a.0 + a.1 && b.0 > a.0) { *a = b; return true; }
        false
    }, "not associative";
}
