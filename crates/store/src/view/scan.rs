//! Scanning inside a write: what is committed, overlaid by what the group and the function wrote.

use super::View;
use crate::engine::{Pair, Scan};
use crate::error::ViewError;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Bound;

type Overlay = BTreeMap<Bytes, Option<Bytes>>;

impl View<'_> {
    /// A range of keys and bytes, as the function sees them: committed rows, and above them what the functions before
    /// it in its group and it itself wrote. As bounded as [`Scan`] is; whoever wants more asks again from the last key.
    ///
    /// It blocks the whole group: for the few pages that a rare decision needs, never for a page that somebody reads.
    pub fn scan(&mut self, scan: &Scan) -> Result<Vec<Pair>, ViewError> {
        if scan.is_empty() || scan.limit == 0 {
            return Ok(Vec::new());
        }
        let mut overlay = self.overlay(scan);
        if overlay.is_empty() {
            return Ok(self.group.snapshot.scan(scan)?);
        }
        let (mut found, mut rest) = (Vec::new(), scan.clone());
        loop {
            let page = self.group.snapshot.scan(&rest)?;
            let last = page.last().filter(|_| page.len() >= rest.limit).map(|(key, _)| key.clone());
            merge(page, take_until(&mut overlay, last.as_ref(), scan.reverse), scan.reverse, &mut found);
            match last {
                Some(last) if found.len() < scan.limit => rest = rest.after(&last),
                _ => break,
            }
        }
        found.truncate(scan.limit);
        Ok(found)
    }

    /// What the group and the function wrote in a range.
    fn overlay(&self, scan: &Scan) -> Overlay {
        let bounds = (scan.from.as_ref().map(Vec::as_slice), scan.to.as_ref().map(Vec::as_slice));
        let layers = [&self.group.written, &self.written];
        let written = layers.into_iter().flat_map(|layer| layer.range::<[u8], _>(bounds));
        // The function's own writes come last, so they stay.
        written.map(|(key, value)| (Bytes::copy_from_slice(key), value.clone())).collect()
    }
}

/// The part of an overlay that a page covers: up to its last key, in the scan's direction; all where it was the last.
fn take_until(overlay: &mut Overlay, last: Option<&Bytes>, reverse: bool) -> Overlay {
    let Some(last) = last else { return std::mem::take(overlay) };
    if reverse {
        return overlay.split_off(last);
    }
    let behind = (Bound::Excluded(last.clone()), Bound::Unbounded);
    match overlay.range(behind).next().map(|(key, _)| key.clone()) {
        Some(next) => {
            let rest = overlay.split_off(&next);
            std::mem::replace(overlay, rest)
        }
        None => std::mem::take(overlay),
    }
}

/// Appends a page with its overlay, in order.
fn merge(page: Vec<Pair>, overlay: Overlay, reverse: bool, found: &mut Vec<Pair>) {
    let mut merged: BTreeMap<Bytes, Option<Bytes>> =
        page.into_iter().map(|(key, value)| (key, Some(value))).collect();
    merged.extend(overlay);
    let live = merged.into_iter().filter_map(|(key, value)| Some((key, value?)));
    if reverse {
        found.extend(live.rev());
    } else {
        found.extend(live);
    }
}
