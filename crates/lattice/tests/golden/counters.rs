//! How many.

use crate::{A, B, FIRST, HEIR};
use antiphon_lattice::contributions::{Contribution, OwnedTallies};
use antiphon_lattice::{Epoch, Tally};

golden! {
    tally: Tally = vec![
        Tally::default(),
        Tally { epoch: FIRST, added: 3, removed: 1 },
        Tally { epoch: HEIR, added: u64::MAX, removed: u64::MAX },
    ];
    epoch: Epoch = vec![Epoch::default(), FIRST, HEIR];
    contribution: Contribution<String> = vec![Contribution { group: "part".into(), owner: A }];
    owned_tallies: OwnedTallies = {
        let mut adopted = OwnedTallies::of(A);
        adopted.adopt(B, HEIR);
        vec![OwnedTallies::of(A), adopted]
    };
}
