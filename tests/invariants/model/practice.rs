//! The rules of sessions and appointments, as the contract states them: what becomes of each by whom, in one step.

use crate::model::Ms;
use crate::model::world::EACH;

/// When a session is, in the words of its therapist.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct When {
    /// `sessionDate`, as it was told.
    pub(crate) date: String,
    pub(crate) start_time: String,
    pub(crate) end_time: String,
    pub(crate) start: Ms,
    pub(crate) end: Ms,
    /// The start, in the offset of the date.
    pub(crate) start_date: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Available,
    /// With the appointment's place.
    Booked(usize),
    Cancelled,
}

#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) therapist: usize,
    pub(crate) client: Option<usize>,
    pub(crate) when: When,
    pub(crate) state: State,
    pub(crate) shared: String,
    pub(crate) private: String,
    /// As the mesh has named the present version, when it was last told.
    pub(crate) etag: String,
    pub(crate) gone: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stands {
    Pending,
    Accepted,
    Rejected,
    Revoked,
    /// Taken back: there is no such appointment any more.
    Gone,
}

#[derive(Debug, Clone)]
pub(crate) struct Appointment {
    pub(crate) id: String,
    pub(crate) client: usize,
    pub(crate) therapist: usize,
    /// The session's place.
    pub(crate) session: usize,
    /// When that started as it was asked for.
    pub(crate) start: Ms,
    pub(crate) date: String,
    pub(crate) stands: Stands,
    pub(crate) created_at: Ms,
}

/// All sessions and appointments there ever were, by their places.
#[derive(Debug, Clone, Default)]
pub(crate) struct Practice {
    pub(crate) sessions: Vec<Session>,
    pub(crate) appointments: Vec<Appointment>,
}

impl Session {
    pub(crate) const fn status(&self) -> &'static str {
        match self.state {
            State::Available => "AVAILABLE",
            State::Booked(_) => "BOOKED",
            State::Cancelled => "CANCELLED",
        }
    }

    pub(crate) const fn has_begun(&self, now: Ms) -> bool {
        self.when.start <= now
    }

    /// Whether a client sees it at all.
    pub(crate) fn is_seen_by(&self, client: usize) -> bool {
        self.state == State::Available || self.client == Some(client)
    }
}

impl Appointment {
    pub(crate) fn status(&self, now: Ms) -> &'static str {
        match self.stands {
            Stands::Pending if self.start <= now => "EXPIRED",
            Stands::Pending => "PENDING",
            Stands::Accepted => "ACCEPTED",
            Stands::Rejected => "REJECTED",
            Stands::Revoked => "REVOKED",
            Stands::Gone => "GONE",
        }
    }
}

impl Practice {
    /// Whether the therapist has time then, but for this session.
    pub(crate) fn is_free(&self, therapist: usize, when: &When, but: Option<usize>) -> bool {
        !self.sessions.iter().enumerate().any(|(place, it)| {
            Some(place) != but
                && it.therapist == therapist
                && !it.gone
                && it.state != State::Cancelled
                && it.when.start < when.end
                && when.start < it.when.end
        })
    }

    /// How many requests of the client wait for the therapist.
    pub(crate) fn waiting(&self, client: usize, therapist: usize, now: Ms) -> usize {
        let theirs = self.appointments.iter().filter(|it| it.client == client && it.therapist == therapist);
        theirs.filter(|it| it.status(now) == "PENDING").count()
    }

    /// Whether a request waits, or an appointment is not over.
    pub(crate) fn has_open(&self, client: usize, therapist: usize, now: Ms) -> bool {
        let mut theirs = self.appointments.iter().filter(|it| it.client == client && it.therapist == therapist);
        theirs.any(|it| match it.status(now) {
            "PENDING" => true,
            "ACCEPTED" => self.sessions[it.session].when.end > now,
            _ => false,
        })
    }

    /// The client has ended the relation with the therapist: nothing waits any more.
    pub(crate) fn withdraw_requests(&mut self, client: usize, therapist: usize, now: Ms) {
        let theirs = self.appointments.iter_mut().filter(|it| it.client == client && it.therapist == therapist);
        for waiting in theirs.filter(|it| it.status(now) == "PENDING") {
            waiting.stands = Stands::Gone;
        }
    }

    /// A request is accepted: it gets the session, and the others are rejected.
    pub(crate) fn book(&mut self, appointment: usize, now: Ms) {
        let Appointment { session, client, .. } = self.appointments[appointment];
        self.reject_all(session, now);
        self.appointments[appointment].stands = Stands::Accepted;
        self.sessions[session].state = State::Booked(appointment);
        self.sessions[session].client = Some(client);
    }

    /// An appointment that was accepted does not hold any more.
    pub(crate) fn revoke(&mut self, appointment: usize) {
        self.appointments[appointment].stands = Stands::Revoked;
        let session = self.appointments[appointment].session;
        if self.sessions[session].state == State::Booked(appointment) {
            self.free(session);
        }
    }

    /// The session takes no place, or is for anybody again.
    pub(crate) fn withdraw(&mut self, session: usize, to: State, now: Ms) {
        if let State::Booked(appointment) = self.sessions[session].state {
            self.appointments[appointment].stands = Stands::Revoked;
        }
        if to == State::Available {
            self.free(session);
        } else {
            self.reject_all(session, now);
            self.sessions[session].state = to;
        }
    }

    pub(crate) fn remove(&mut self, session: usize, now: Ms) {
        self.withdraw(session, State::Cancelled, now);
        self.sessions[session].gone = true;
    }

    fn free(&mut self, session: usize) {
        let session = &mut self.sessions[session];
        session.state = State::Available;
        // What was written for a client goes with the client.
        if session.client.take().is_some() {
            session.shared.clear();
        }
    }

    /// What has expired stays that.
    fn reject_all(&mut self, session: usize, now: Ms) {
        let of_it = self.appointments.iter_mut().filter(|it| it.session == session);
        for waiting in of_it.filter(|it| it.status(now) == "PENDING") {
            waiting.stands = Stands::Rejected;
        }
    }
}

/// A message.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    pub(crate) id: String,
    pub(crate) by_client: bool,
    pub(crate) text: String,
    pub(crate) at: Ms,
}

/// A conversation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Thread {
    pub(crate) said: Vec<Said>,
    /// How many of the messages the client has read up to, and the therapist.
    read: [usize; 2],
}

impl Thread {
    /// One that has not begun.
    pub(crate) const NONE: Self = Self { said: Vec::new(), read: [0; 2] };

    /// How many of the other one's messages come after what was read.
    pub(crate) fn unread(&self, by_client: bool) -> usize {
        let after = &self.said[self.read[usize::from(!by_client)]..];
        after.iter().filter(|said| said.by_client != by_client).count()
    }

    /// Reads up to a message. Answers the last one that is read now.
    pub(crate) fn read(&mut self, by_client: bool, up_to: usize) -> &Said {
        let read = &mut self.read[usize::from(!by_client)];
        *read = (*read).max(up_to + 1);
        &self.said[*read - 1]
    }
}

/// The conversations, by client and therapist.
pub(crate) type Threads = [[Thread; EACH]; EACH];
