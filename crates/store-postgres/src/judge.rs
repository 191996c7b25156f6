//! What a group of commits changes, given the rows that are locked. No I/O: the database is told the outcome.
//!
//! Commits are judged in their order, each seeing what those before it will have done; one whose conditions do not hold changes
//! nothing. Of each row only the end of the group is written.

use std::collections::{BTreeMap, HashMap};

use usher_store::{Expect, Key, Op, StoreError, TenantId, holds};

/// A row's place: its owner, then its space and key as one, as the tables have it. Rows are locked and written in this order.
pub type Place = (TenantId, Vec<u8>);

/// The ETags of locked rows; what is not here was absent.
pub type Held = HashMap<Place, u64>;

/// One tenant's changes.
#[derive(Default, PartialEq, Eq, Debug)]
pub struct Changes<'a> {
    /// Rows that were absent and will be there.
    pub inserts: BTreeMap<Vec<u8>, (u64, &'a [u8])>,
    /// Rows that are locked and will have another body.
    pub updates: BTreeMap<Vec<u8>, (u64, &'a [u8])>,
    /// Rows that are locked and will be gone.
    pub deletes: Vec<Vec<u8>>,
    /// Rows that were absent, will be absent, and on whose absence something rests.
    pub absences: Vec<Vec<u8>>,
    /// What is added to counters.
    pub adds: BTreeMap<Vec<u8>, i64>,
}

/// Each commit's outcome, and what is written.
pub struct Verdict<'a> {
    /// In the order of the commits.
    pub outcomes: Vec<Result<(), StoreError>>,
    /// By tenant; empty where nothing is to be written.
    pub changes: BTreeMap<TenantId, Changes<'a>>,
}

/// A record's or counter's row.
pub fn place(key: &Key) -> Place {
    let mut bytes = Vec::with_capacity(key.key.len() + 1);
    bytes.push(key.space.0);
    bytes.extend_from_slice(&key.key);
    (key.tenant, bytes)
}

/// The rows to lock, by tenant and in order.
pub fn places<'a>(ops: impl Iterator<Item = &'a Op>) -> BTreeMap<TenantId, Vec<Vec<u8>>> {
    let mut places: BTreeMap<TenantId, Vec<Vec<u8>>> = BTreeMap::new();
    for op in ops.filter(|op| !matches!(op, Op::Add { .. })) {
        let (tenant, key) = place(op.key());
        places.entry(tenant).or_default().push(key);
    }
    for keys in places.values_mut() {
        keys.sort_unstable();
        keys.dedup();
    }
    places
}

/// Judges a group.
pub fn judge<'a>(group: impl Iterator<Item = &'a [Op]>, held: &Held) -> Verdict<'a> {
    // The new ETag and body, `None` for absence, of rows that commits which take place touch.
    let mut rows: BTreeMap<Place, Option<(u64, &'a [u8])>> = BTreeMap::new();
    // Rows that such commits only look at.
    let mut seen: Vec<Place> = Vec::new();
    let mut changes: BTreeMap<TenantId, Changes<'a>> = BTreeMap::new();
    let mut outcomes = Vec::new();
    for ops in group {
        let failed = ops.iter().position(|op| !holds_for(op, &rows, held));
        outcomes.push(failed.map_or(Ok(()), |index| Err(StoreError::Conflict { index })));
        if failed.is_some() {
            continue;
        }
        for op in ops {
            let place = place(op.key());
            match op {
                Op::Put { etag, body, .. } => drop(rows.insert(place, Some((*etag, body)))),
                Op::Delete { .. } => drop(rows.insert(place, None)),
                Op::Check { .. } => seen.push(place),
                Op::Add { delta, .. } => {
                    let sum = changes.entry(place.0).or_default().adds.entry(place.1).or_default();
                    *sum = sum.saturating_add(*delta);
                }
            }
        }
    }
    for place in seen.into_iter().filter(|place| !held.contains_key(place)) {
        rows.entry(place).or_insert(None);
    }
    for (place, row) in rows {
        let was = held.contains_key(&place);
        let (tenant, key) = place;
        let changes = changes.entry(tenant).or_default();
        match (was, row) {
            (false, Some(row)) => drop(changes.inserts.insert(key, row)),
            (true, Some(row)) => drop(changes.updates.insert(key, row)),
            (true, None) => changes.deletes.push(key),
            (false, None) => changes.absences.push(key),
        }
    }
    Verdict { outcomes, changes }
}

fn holds_for(op: &Op, rows: &BTreeMap<Place, Option<(u64, &[u8])>>, held: &Held) -> bool {
    let (Op::Put { expect, .. } | Op::Delete { expect, .. } | Op::Check { expect, .. }) = op else { return true };
    if *expect == Expect::Any {
        return true;
    }
    let place = place(op.key());
    let found = match rows.get(&place) {
        Some(row) => row.map(|(etag, _)| etag),
        None => held.get(&place).copied(),
    };
    holds(*expect, found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use usher_store::conformance::key;

    use super::*;

    fn put(name: &str, expect: Expect, etag: u64) -> Op {
        Op::Put { key: key(name), expect, etag, body: vec![etag as u8] }
    }

    fn verdict<'a>(group: &'a [Vec<Op>], held: &Held) -> Verdict<'a> {
        judge(group.iter().map(Vec::as_slice), held)
    }

    #[test]
    fn later_commits_see_earlier_ones_and_refused_ones_leave_nothing() {
        let group = [
            vec![put("a", Expect::Absent, 1), Op::Add { key: key("n"), delta: 1 }],
            vec![Op::Add { key: key("n"), delta: 100 }, put("a", Expect::Absent, 2)],
            vec![put("a", Expect::Etag(1), 3), Op::Add { key: key("n"), delta: 2 }],
            vec![Op::Check { key: key("b"), expect: Expect::Etag(9) }],
        ];
        let Verdict { outcomes, changes } = verdict(&group, &Held::new());
        let conflict = |index| Err(StoreError::Conflict { index });
        assert_eq!(outcomes, [Ok(()), conflict(1), Ok(()), conflict(0)]);
        let (tenant, at) = place(&key("a"));
        let changes = &changes[&tenant];
        assert_eq!(changes.inserts, BTreeMap::from([(at, (3, [3].as_slice()))]));
        assert_eq!(changes.adds, BTreeMap::from([(place(&key("n")).1, 3)]));
        assert!(changes.absences.is_empty() && changes.updates.is_empty() && changes.deletes.is_empty());
    }

    #[test]
    fn what_was_there_is_updated_or_deleted_and_absence_is_held() {
        let held = Held::from([(place(&key("there")), 5), (place(&key("old")), 6), (place(&key("seen")), 7)]);
        let group = [vec![
            put("there", Expect::Etag(5), 8),
            Op::Delete { key: key("old"), expect: Expect::Any },
            Op::Delete { key: key("never"), expect: Expect::Any },
            Op::Check { key: key("seen"), expect: Expect::Etag(7) },
            Op::Check { key: key("none"), expect: Expect::Absent },
        ]];
        let Verdict { outcomes, changes } = verdict(&group, &held);
        assert_eq!(outcomes, [Ok(())]);
        let changes = changes.into_values().next().unwrap();
        assert_eq!(changes.updates.into_keys().collect::<Vec<_>>(), [place(&key("there")).1]);
        assert_eq!(changes.deletes, [place(&key("old")).1]);
        assert_eq!(changes.absences, [place(&key("never")).1, place(&key("none")).1]);
    }

    #[test]
    fn a_row_made_and_removed_in_one_group_was_still_relied_on() {
        let group = [vec![put("x", Expect::Absent, 1)], vec![Op::Delete { key: key("x"), expect: Expect::Etag(1) }]];
        let changes = verdict(&group, &Held::new()).changes.into_values().next().unwrap();
        assert_eq!(changes.absences, [place(&key("x")).1]);
        assert!(verdict(&[vec![Op::Check { key: key("y"), expect: Expect::Etag(1) }]], &Held::new()).changes.is_empty());
    }

    #[test]
    fn places_are_in_order_and_once_each_and_counters_are_not_among_them() {
        let ops = [put("b", Expect::Any, 1), put("a", Expect::Any, 1), put("b", Expect::Any, 2), Op::Add { key: key("n"), delta: 1 }];
        let places = places(ops.iter());
        assert_eq!(places.into_values().next().unwrap(), [place(&key("a")).1, place(&key("b")).1]);
    }
}
