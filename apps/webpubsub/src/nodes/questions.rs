//! Questions that wait for the answers of other nodes.

use std::collections::{BTreeSet, HashMap};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::operation::Outcome;

/// Questions of this node that wait for answers.
#[derive(Debug, Default)]
pub(super) struct Questions {
    waiting: Mutex<(u64, HashMap<u64, Waiting>)>,
}

#[derive(Debug)]
struct Waiting {
    /// The nodes that have not answered.
    open: BTreeSet<u64>,
    outcome: Outcome,
    /// One that has found what is asked for is enough.
    one_is_enough: bool,
    done: oneshot::Sender<Outcome>,
}

impl Questions {
    /// A new question to some nodes: its number, and where the answers come.
    pub(super) fn begin(
        &self,
        nodes: BTreeSet<u64>,
        one_is_enough: bool,
    ) -> (u64, oneshot::Receiver<Outcome>) {
        let (done, answers) = oneshot::channel();
        let (last, waiting) = &mut *self.waiting.lock();
        *last += 1;
        waiting.insert(
            *last,
            Waiting {
                open: nodes,
                outcome: Outcome::default(),
                one_is_enough,
                done,
            },
        );
        (*last, answers)
    }

    /// A node has answered.
    pub(super) fn answered(&self, number: u64, node: u64, outcome: Outcome) {
        let waiting = &mut self.waiting.lock().1;
        let Some(question) = waiting.get_mut(&number) else {
            return;
        };
        let was_open = question.open.remove(&node);
        if was_open {
            question.outcome.add(outcome);
        }
        let is_enough = question.one_is_enough && question.outcome.found > 0;
        if (question.open.is_empty() || is_enough)
            && let Some(question) = waiting.remove(&number)
        {
            // Nobody waits any more where the asker has given up.
            let _ = question.done.send(question.outcome);
        }
    }

    /// Nobody waits for nodes that are not there any more.
    pub(super) fn only_of(&self, is_there: impl Fn(u64) -> bool) {
        let waiting: Vec<(u64, u64)> = {
            let questions = &self.waiting.lock().1;
            let open = |(number, question): (&u64, &Waiting)| -> Vec<(u64, u64)> {
                question.open.iter().map(|node| (*number, *node)).collect()
            };
            questions.iter().flat_map(open).collect()
        };
        for (number, node) in waiting {
            if !is_there(node) {
                self.answered(number, node, Outcome::default());
            }
        }
    }

    /// The asker does not wait any more.
    pub(super) fn forget(&self, number: u64) {
        self.waiting.lock().1.remove(&number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(count: usize) -> Outcome {
        Outcome {
            found: count,
            ..Outcome::default()
        }
    }

    #[tokio::test]
    async fn a_question_is_answered_when_everybody_has_or_one_has_found_it() {
        let questions = Questions::default();
        let (all, mut answers) = questions.begin([1, 2, 3].into(), false);
        questions.answered(all, 1, found(2));
        questions.answered(all, 1, found(2));
        questions.answered(all, 9, found(2));
        questions.answered(all + 1, 2, found(2));
        assert!(answers.try_recv().is_err());
        questions.answered(all, 2, found(1));
        questions.only_of(|node| node != 3);
        assert_eq!(answers.await.unwrap().found, 3);
        let (one, answers) = questions.begin([1, 2, 3].into(), true);
        questions.answered(one, 1, found(0));
        questions.answered(one, 2, found(1));
        assert_eq!(answers.await.unwrap().found, 1);
        let (given_up, mut answers) = questions.begin([1].into(), true);
        questions.forget(given_up);
        questions.answered(given_up, 1, found(1));
        assert!(answers.try_recv().is_err());
        assert!(questions.waiting.lock().1.is_empty());
    }
}
