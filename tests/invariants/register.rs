//! Sequential specification of a session and its requests, to which concurrent histories must be linearizable.

use stateright::semantics::SequentialSpec;

/// Number of a client in the race.
pub(crate) type Number = usize;

/// An operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    /// A client asks for the session.
    Ask(Number),
    /// The therapist accepts the client's request.
    Accept(Number),
    /// The therapist rejects it.
    Reject(Number),
    /// One of the two revokes the client's appointment.
    Revoke(Number),
    /// The client takes the request back.
    Withdraw(Number),
    /// The therapist cancels the session.
    Cancel,
    /// The therapist makes the session available again.
    Reopen,
    /// The therapist reads the status of the session.
    LookAtSlot,
    /// The client reads the status of the request.
    Look(Number),
}

/// Outcome of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// Another one has the session.
    Taken,
    /// Requested and rejected immediately: the session was taken or cancelled in the meantime.
    Rejected,
    /// Refused in this state.
    Refused,
    /// Not found.
    Absent,
    /// Status of the slot.
    Slot(Slot),
    /// Status of the request.
    Request(Request),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    Available,
    Booked(Number),
    Cancelled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    None,
    Pending,
    Accepted,
    Rejected,
    Revoked,
}

/// The session and the last request of each client.
#[derive(Debug, Clone)]
pub(crate) struct Register {
    slot: Slot,
    requests: Vec<Request>,
}

impl Register {
    pub(crate) fn new(clients: usize) -> Self {
        Self { slot: Slot::Available, requests: vec![Request::None; clients] }
    }

    fn ask(&mut self, number: Number) -> Outcome {
        match (self.slot, self.requests[number]) {
            (_, Request::Pending) => Outcome::Refused,
            (Slot::Booked(_), _) => Outcome::Taken,
            (Slot::Cancelled, _) => Outcome::Absent,
            (Slot::Available, _) => {
                self.requests[number] = Request::Pending;
                Outcome::Done
            }
        }
    }

    fn accept(&mut self, number: Number) -> Outcome {
        match self.requests[number] {
            Request::None => Outcome::Absent,
            Request::Accepted => Outcome::Done,
            Request::Rejected | Request::Revoked => Outcome::Refused,
            // Requests are pending only while the session is available.
            Request::Pending => {
                self.reject_all();
                self.requests[number] = Request::Accepted;
                self.slot = Slot::Booked(number);
                Outcome::Done
            }
        }
    }

    fn end(&mut self, number: Number, from: Request, to: Request) -> Outcome {
        let now = self.requests[number];
        if now == Request::None {
            return Outcome::Absent;
        }
        if now == from {
            self.requests[number] = to;
            if from == Request::Accepted {
                self.slot = Slot::Available;
            }
        }
        // A repeated change has no effect.
        if now == from || now == to { Outcome::Done } else { Outcome::Refused }
    }

    fn reject_all(&mut self) {
        for request in self.requests.iter_mut().filter(|request| **request == Request::Pending) {
            *request = Request::Rejected;
        }
    }

    fn withdraw_slot(&mut self, to: Slot) -> Outcome {
        if let Slot::Booked(number) = self.slot {
            self.requests[number] = Request::Revoked;
        }
        if to == Slot::Cancelled {
            self.reject_all();
        }
        self.slot = to;
        Outcome::Done
    }
}

impl SequentialSpec for Register {
    type Op = Op;
    type Ret = Outcome;

    fn invoke(&mut self, op: &Op) -> Outcome {
        match *op {
            Op::Ask(number) => self.ask(number),
            Op::Accept(number) => self.accept(number),
            Op::Reject(number) => self.end(number, Request::Pending, Request::Rejected),
            Op::Revoke(number) => self.end(number, Request::Accepted, Request::Revoked),
            Op::Withdraw(number) => self.end(number, Request::Pending, Request::None),
            Op::Cancel => self.withdraw_slot(Slot::Cancelled),
            Op::Reopen => self.withdraw_slot(Slot::Available),
            Op::LookAtSlot => Outcome::Slot(self.slot),
            Op::Look(number) => Outcome::Request(self.requests[number]),
        }
    }

    /// Checks a step; a request that lost to another one may be answered as refused or as taken.
    fn is_valid_step(&mut self, op: &Op, outcome: &Outcome) -> bool {
        if let (Op::Ask(number), Outcome::Rejected) = (op, outcome) {
            self.requests[*number] = Request::Rejected;
            return self.slot != Slot::Available;
        }
        let expected = self.invoke(op);
        expected == *outcome
            || matches!(op, Op::Accept(_)) && expected == Outcome::Refused && *outcome == Outcome::Taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_valid(clients: usize, steps: &[(Op, Outcome)]) -> bool {
        Register::new(clients).is_valid_history(steps.iter().copied())
    }

    #[test]
    fn register_accepts_one_request_and_rejects_others() {
        let asked = [(Op::Ask(0), Outcome::Done), (Op::Ask(1), Outcome::Done)];
        let history = |then: &[(Op, Outcome)]| is_valid(2, &[&asked, then].concat());
        assert!(history(&[
            (Op::Accept(0), Outcome::Done),
            (Op::Accept(1), Outcome::Taken),
            (Op::Revoke(0), Outcome::Done)
        ]));
        assert!(!history(&[(Op::Accept(0), Outcome::Done), (Op::Accept(1), Outcome::Done)]));
        assert!(!history(&[(Op::Accept(0), Outcome::Taken)]), "a slot that nobody has is not taken");
        let looks = [
            (Op::Look(1), Outcome::Request(Request::Rejected)),
            (Op::LookAtSlot, Outcome::Slot(Slot::Booked(0))),
            (Op::Cancel, Outcome::Done),
            (Op::Look(0), Outcome::Request(Request::Revoked)),
            (Op::Ask(1), Outcome::Absent),
        ];
        assert!(history(&[&[(Op::Accept(0), Outcome::Done)], &looks[..]].concat()));
        assert!(!history(&looks));
    }
}
