//! How two terms relate, and the contradictions (C1–C12) and narrowings (N1–N4) between a statement that declares and
//! one that denies: PoliCheck's table.

/// How a first term relates to a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Relation {
    /// The same (≡).
    Equal,
    /// The first is part of the second (⊏).
    Narrower,
    /// The second is part of the first (⊐).
    Broader,
    /// Neither, but they share something (≈).
    Overlapping,
}

/// A cell of the table. C cells contradict; in N cells the denial only narrows the declaration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names of the model")]
pub enum Cell {
    C1,
    C2,
    C3,
    C4,
    C5,
    C6,
    C7,
    C8,
    C9,
    C10,
    C11,
    C12,
    N1,
    N2,
    N3,
    N4,
}

impl Cell {
    /// The cell of a declaration and a denial, by how the declaration's entity and data relate to the denial's.
    #[must_use]
    pub const fn of(entity: Relation, data: Relation) -> Self {
        use Relation::{Broader, Equal, Narrower, Overlapping};
        match (entity, data) {
            (Equal, Equal) => Self::C1,
            (Equal, Narrower) => Self::C2,
            (Equal, Broader) => Self::N1,
            (Equal, Overlapping) => Self::C6,
            (Narrower, Equal) => Self::C3,
            (Narrower, Narrower) => Self::C4,
            (Narrower, Broader) => Self::N2,
            (Narrower, Overlapping) => Self::C7,
            (Broader, Equal) => Self::N3,
            (Broader, Narrower) => Self::C5,
            (Broader, Broader) => Self::N4,
            (Broader, Overlapping) => Self::C8,
            (Overlapping, Equal) => Self::C9,
            (Overlapping, Narrower) => Self::C10,
            (Overlapping, Broader) => Self::C11,
            (Overlapping, Overlapping) => Self::C12,
        }
    }

    /// Whether it is a contradiction (else a narrowing).
    #[must_use]
    pub const fn contradicts(self) -> bool {
        !matches!(self, Self::N1 | Self::N2 | Self::N3 | Self::N4)
    }
}
