//! A balancer that tests list: the first endpoint that may be picked. It leaves every hook out.

use crate::load::Choice;
use crate::members::Members;
use crate::policy::{Asked, NoOptions, Policy, Tier};

#[derive(Clone, Debug)]
pub(crate) struct First(Members);

impl Policy for First {
    type Options = NoOptions;

    fn new(Tier { members, .. }: Tier<'_>, _: &NoOptions) -> Self {
        Self(members)
    }

    fn pick(&mut self, choice: &Choice<'_>, _: &mut Asked<'_>) -> Option<u32> {
        self.0.as_slice().iter().map(|m| m.endpoint).find(|endpoint| choice.allows(*endpoint))
    }
}
