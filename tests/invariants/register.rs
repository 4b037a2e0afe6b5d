//! A session and the requests for it as one thing that does one step at a time: what any history of many callers must look
//! like from outside.

use stateright::semantics::SequentialSpec;

/// A client of the race.
pub(crate) type Number = usize;

/// What somebody does.
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
    /// The therapist looks where the session stands.
    LookAtSlot,
    /// The client looks where the request stands.
    Look(Number),
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    Done,
    /// Another one has the session.
    Taken,
    /// It was asked for, and rejected at once: while that was stored the session was taken or cancelled.
    Rejected,
    /// Where it stands doesn't allow that.
    Refused,
    /// There is no such thing.
    Absent,
    /// The slot, when somebody looked.
    Slot(Slot),
    /// The request, when somebody looked.
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

    fn ask(&mut self, number: Number) -> Told {
        match (self.slot, self.requests[number]) {
            (_, Request::Pending) => Told::Refused,
            (Slot::Booked(_), _) => Told::Taken,
            (Slot::Cancelled, _) => Told::Absent,
            (Slot::Available, _) => {
                self.requests[number] = Request::Pending;
                Told::Done
            }
        }
    }

    fn accept(&mut self, number: Number) -> Told {
        match self.requests[number] {
            Request::None => Told::Absent,
            Request::Accepted => Told::Done,
            Request::Rejected | Request::Revoked => Told::Refused,
            // Requests are pending while the session is available, and never else.
            Request::Pending => {
                self.reject_all();
                self.requests[number] = Request::Accepted;
                self.slot = Slot::Booked(number);
                Told::Done
            }
        }
    }

    fn end(&mut self, number: Number, from: Request, to: Request) -> Told {
        let now = self.requests[number];
        if now == Request::None {
            return Told::Absent;
        }
        if now == from {
            self.requests[number] = to;
            if from == Request::Accepted {
                self.slot = Slot::Available;
            }
        }
        // Doing it again changes nothing.
        if now == from || now == to { Told::Done } else { Told::Refused }
    }

    fn reject_all(&mut self) {
        for request in self.requests.iter_mut().filter(|request| **request == Request::Pending) {
            *request = Request::Rejected;
        }
    }

    fn withdraw_slot(&mut self, to: Slot) -> Told {
        if let Slot::Booked(number) = self.slot {
            self.requests[number] = Request::Revoked;
        }
        if to == Slot::Cancelled {
            self.reject_all();
        }
        self.slot = to;
        Told::Done
    }
}

impl SequentialSpec for Register {
    type Op = Op;
    type Ret = Told;

    fn invoke(&mut self, op: &Op) -> Told {
        match *op {
            Op::Ask(number) => self.ask(number),
            Op::Accept(number) => self.accept(number),
            Op::Reject(number) => self.end(number, Request::Pending, Request::Rejected),
            Op::Revoke(number) => self.end(number, Request::Accepted, Request::Revoked),
            Op::Withdraw(number) => self.end(number, Request::Pending, Request::None),
            Op::Cancel => self.withdraw_slot(Slot::Cancelled),
            Op::Reopen => self.withdraw_slot(Slot::Available),
            Op::LookAtSlot => Told::Slot(self.slot),
            Op::Look(number) => Told::Request(self.requests[number]),
        }
    }

    /// A request that is rejected because another one won may be told so in either way.
    fn is_valid_step(&mut self, op: &Op, told: &Told) -> bool {
        if let (Op::Ask(number), Told::Rejected) = (op, told) {
            self.requests[*number] = Request::Rejected;
            return self.slot != Slot::Available;
        }
        let told_here = self.invoke(op);
        told_here == *told || matches!(op, Op::Accept(_)) && told_here == Told::Refused && *told == Told::Taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_valid(clients: usize, steps: &[(Op, Told)]) -> bool {
        Register::new(clients).is_valid_history(steps.iter().copied())
    }

    #[test]
    fn one_is_accepted_and_the_others_are_rejected() {
        let asked = [(Op::Ask(0), Told::Done), (Op::Ask(1), Told::Done)];
        let history = |then: &[(Op, Told)]| is_valid(2, &[&asked, then].concat());
        assert!(history(&[(Op::Accept(0), Told::Done), (Op::Accept(1), Told::Taken), (Op::Revoke(0), Told::Done)]));
        assert!(!history(&[(Op::Accept(0), Told::Done), (Op::Accept(1), Told::Done)]));
        assert!(!history(&[(Op::Accept(0), Told::Taken)]), "a slot that nobody has is not taken");
        let looks = [
            (Op::Look(1), Told::Request(Request::Rejected)),
            (Op::LookAtSlot, Told::Slot(Slot::Booked(0))),
            (Op::Cancel, Told::Done),
            (Op::Look(0), Told::Request(Request::Revoked)),
            (Op::Ask(1), Told::Absent),
        ];
        assert!(history(&[&[(Op::Accept(0), Told::Done)], &looks[..]].concat()));
        assert!(!history(&looks));
    }
}
