//! What may stay where it is when a list is put into another order.

/// For each of a new list the place that it had in the old one, `None` for what is new: tells which may stay where they
/// are, as many as possible (a longest increasing subsequence). All others have to move, and the fewer move the less is
/// fought over by two writers at once. Of several answers the one is taken that a given list always gets, so that a
/// write that is run again is the same write.
///
/// n log n, for lists of at most [`crate::PARAGRAPHS_MAX`].
pub(crate) fn stays(old_places: &[Option<usize>]) -> Vec<bool> {
    // `ends[n]`: where in the new list the best run of n + 1 ends: the one whose last old place is least.
    let mut ends: Vec<(usize, usize)> = Vec::new();
    let mut before: Vec<Option<usize>> = vec![None; old_places.len()];
    for (position, old) in old_places.iter().enumerate() {
        let Some(old) = *old else { continue };
        let length = ends.partition_point(|(end, _)| *end < old);
        let previous = length.checked_sub(1).and_then(|shorter| ends.get(shorter)).map(|(_, at)| *at);
        if let Some(link) = before.get_mut(position) {
            *link = previous;
        }
        match ends.get_mut(length) {
            Some(end) => *end = (old, position),
            None => ends.push((old, position)),
        }
    }
    let mut stays = vec![false; old_places.len()];
    let mut next = ends.last().map(|(_, at)| *at);
    while let Some(position) = next {
        if let Some(stay) = stays.get_mut(position) {
            *stay = true;
        }
        // Always to an earlier position, so this ends.
        next = before.get(position).copied().flatten();
    }
    stays
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stays, the rest as dots.
    fn of(places: &str) -> String {
        let old: Vec<_> =
            places.chars().map(|one| one.to_digit(36).map(|digit| usize::try_from(digit).unwrap())).collect();
        places.chars().zip(stays(&old)).map(|(one, stays)| if stays { one } else { '.' }).collect()
    }

    #[test]
    fn as_many_stay_as_can() {
        for (list, staying) in [
            ("", ""),
            ("-", "."),
            ("012345", "012345"),
            ("01-2-3", "01.2.3"),
            ("501234", ".01234"),
            ("123450", "12345."),
            ("034125", "0..125"),
            ("43210", "....0"),
            ("--", ".."),
        ] {
            assert_eq!(of(list), staying, "{list}");
        }
    }

    /// Against every subset, for every order of six.
    #[test]
    fn no_subset_that_is_in_order_is_longer() {
        let mut orders = vec![Vec::new()];
        for place in 0..6 {
            orders = orders
                .iter()
                .flat_map(|order: &Vec<usize>| {
                    (0..=order.len()).map(|at| {
                        let mut order = order.clone();
                        order.insert(at, place);
                        order
                    })
                })
                .collect();
        }
        assert_eq!(orders.len(), 720);
        for order in orders {
            let chosen = |mask: usize| {
                (0..6).filter(move |at| mask >> at & 1 == 1).map(|at| order[at]).collect::<Vec<_>>()
            };
            let longest = (0..64).map(chosen).filter(|one| one.is_sorted()).map(|one| one.len()).max();
            let stays = stays(&order.iter().copied().map(Some).collect::<Vec<_>>());
            let kept: Vec<_> =
                order.iter().zip(&stays).filter(|(_, stay)| **stay).map(|(one, _)| *one).collect();
            assert!(kept.is_sorted(), "{order:?} {kept:?}");
            assert_eq!(Some(kept.len()), longest, "{order:?} {kept:?}");
        }
    }
}
