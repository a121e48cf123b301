//! One value at a time.

use crate::{EARLY, LATE};
use antiphon_lattice::{Lww, Max, Min, Stamp};

golden! {
    max: Max<u64> = vec![Max(0), Max(1), Max(u64::MAX)];
    min: Min<(Stamp, String)> = vec![Min::bottom(), Min::of((EARLY, "first".into()))];
    lww: Lww<String> = vec![Lww::default(), Lww::new(EARLY, String::new()), Lww::new(LATE, "a \"name\"".into())];
}
