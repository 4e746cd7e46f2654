//! The verbs of a clause: what each does with data, and which parts of joined ones (收集、使用、共享) keep it and which
//! give it away.

use crate::model::Action;

/// What a verb stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verb {
    /// 收集, or several joined: 共享、转让、披露.
    Actions(Vec<Action>),
    /// 访问, 了解.
    Weak(Action),
    /// 填写, 上传.
    UserGives,
    /// 提供, 发送.
    Gives,
}

/// A verb, or several joined ones, of a clause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Predicate {
    pub(super) verb: Verb,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Predicate {
    /// What the app does and what it gives to others, where both are joined: 收集、使用、共享.
    pub(super) fn parts(&self) -> Option<[Self; 2]> {
        let Verb::Actions(actions) = &self.verb else { return None };
        let own = |action: &Action| matches!(action, Action::Collect | Action::Use | Action::Store);
        let (kept, given): (Vec<Action>, Vec<Action>) = actions.iter().copied().partition(own);
        (!kept.is_empty() && !given.is_empty()).then(|| {
            [kept, given].map(|actions| Self { verb: Verb::Actions(actions), start: self.start, end: self.end })
        })
    }
}
