//! Rules of sessions and appointments, as the contract states them: the effect of each command in one step.

use crate::model::Ms;
use crate::model::world::EACH;

/// Time of a session, as its therapist gave it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct When {
    /// `sessionDate`, as it was given.
    pub(crate) date: String,
    pub(crate) start_time: String,
    pub(crate) end_time: String,
    pub(crate) start: Ms,
    pub(crate) end: Ms,
    /// Start, in the offset of the date.
    pub(crate) start_date: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionState {
    Available,
    /// With the index of the appointment.
    Booked(usize),
    Cancelled,
}

#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) therapist: usize,
    pub(crate) client: Option<usize>,
    pub(crate) when: When,
    pub(crate) state: SessionState,
    pub(crate) shared: String,
    pub(crate) private: String,
    /// Last etag that the mesh returned.
    pub(crate) etag: String,
    pub(crate) gone: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AppointmentState {
    Pending,
    Accepted,
    Rejected,
    Revoked,
    /// Withdrawn: the appointment no longer exists.
    Gone,
}

#[derive(Debug, Clone)]
pub(crate) struct Appointment {
    pub(crate) id: String,
    pub(crate) client: usize,
    pub(crate) therapist: usize,
    /// Index of the session.
    pub(crate) session: usize,
    /// Start of the session at the time of the request.
    pub(crate) start: Ms,
    pub(crate) date: String,
    pub(crate) state: AppointmentState,
    pub(crate) created_at: Ms,
}

/// All sessions and appointments that ever existed, by index.
#[derive(Debug, Clone, Default)]
pub(crate) struct Practice {
    pub(crate) sessions: Vec<Session>,
    pub(crate) appointments: Vec<Appointment>,
}

impl Session {
    pub(crate) const fn status(&self) -> &'static str {
        match self.state {
            SessionState::Available => "AVAILABLE",
            SessionState::Booked(_) => "BOOKED",
            SessionState::Cancelled => "CANCELLED",
        }
    }

    pub(crate) const fn has_begun(&self, now: Ms) -> bool {
        self.when.start <= now
    }

    /// Returns true if the session is visible to a client.
    pub(crate) fn is_seen_by(&self, client: usize) -> bool {
        self.state == SessionState::Available || self.client == Some(client)
    }
}

impl Appointment {
    pub(crate) fn status(&self, now: Ms) -> &'static str {
        match self.state {
            AppointmentState::Pending if self.start <= now => "EXPIRED",
            AppointmentState::Pending => "PENDING",
            AppointmentState::Accepted => "ACCEPTED",
            AppointmentState::Rejected => "REJECTED",
            AppointmentState::Revoked => "REVOKED",
            AppointmentState::Gone => "GONE",
        }
    }
}

impl Practice {
    /// Returns true if no session of the therapist but the excepted one overlaps this time.
    pub(crate) fn is_free(&self, therapist: usize, when: &When, but: Option<usize>) -> bool {
        !self.sessions.iter().enumerate().any(|(place, it)| {
            Some(place) != but
                && it.therapist == therapist
                && !it.gone
                && it.state != SessionState::Cancelled
                && it.when.start < when.end
                && when.start < it.when.end
        })
    }

    /// Counts the client's pending requests to the therapist.
    pub(crate) fn waiting(&self, client: usize, therapist: usize, now: Ms) -> usize {
        let theirs = self.appointments.iter().filter(|it| it.client == client && it.therapist == therapist);
        theirs.filter(|it| it.status(now) == "PENDING").count()
    }

    /// Returns true if there is a pending request or an accepted appointment that is not over.
    pub(crate) fn has_open(&self, client: usize, therapist: usize, now: Ms) -> bool {
        let mut theirs = self.appointments.iter().filter(|it| it.client == client && it.therapist == therapist);
        theirs.any(|it| match it.status(now) {
            "PENDING" => true,
            "ACCEPTED" => self.sessions[it.session].when.end > now,
            _ => false,
        })
    }

    /// Withdraws the client's pending requests to the therapist, as the end of the relation does.
    pub(crate) fn withdraw_requests(&mut self, client: usize, therapist: usize, now: Ms) {
        let theirs = self.appointments.iter_mut().filter(|it| it.client == client && it.therapist == therapist);
        for waiting in theirs.filter(|it| it.status(now) == "PENDING") {
            waiting.state = AppointmentState::Gone;
        }
    }

    /// Accepts a request: books the session for it and rejects the others.
    pub(crate) fn book(&mut self, appointment: usize, now: Ms) {
        let Appointment { session, client, .. } = self.appointments[appointment];
        self.reject_all(session, now);
        self.appointments[appointment].state = AppointmentState::Accepted;
        self.sessions[session].state = SessionState::Booked(appointment);
        self.sessions[session].client = Some(client);
    }

    /// Revokes an accepted appointment and frees its session.
    pub(crate) fn revoke(&mut self, appointment: usize) {
        self.appointments[appointment].state = AppointmentState::Revoked;
        let session = self.appointments[appointment].session;
        if self.sessions[session].state == SessionState::Booked(appointment) {
            self.free(session);
        }
    }

    /// Cancels the session or makes it available again, which revokes its appointment.
    pub(crate) fn withdraw(&mut self, session: usize, to: SessionState, now: Ms) {
        if let SessionState::Booked(appointment) = self.sessions[session].state {
            self.appointments[appointment].state = AppointmentState::Revoked;
        }
        if to == SessionState::Available {
            self.free(session);
        } else {
            self.reject_all(session, now);
            self.sessions[session].state = to;
        }
    }

    pub(crate) fn remove(&mut self, session: usize, now: Ms) {
        self.withdraw(session, SessionState::Cancelled, now);
        self.sessions[session].gone = true;
    }

    fn free(&mut self, session: usize) {
        let session = &mut self.sessions[session];
        session.state = SessionState::Available;
        // Shared notes are for the client alone.
        if session.client.take().is_some() {
            session.shared.clear();
        }
    }

    /// Rejects the pending requests for a session; expired ones stay expired.
    fn reject_all(&mut self, session: usize, now: Ms) {
        let of_it = self.appointments.iter_mut().filter(|it| it.session == session);
        for waiting in of_it.filter(|it| it.status(now) == "PENDING") {
            waiting.state = AppointmentState::Rejected;
        }
    }
}

/// A message.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) by_client: bool,
    pub(crate) text: String,
    pub(crate) at: Ms,
}

/// A conversation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Thread {
    pub(crate) said: Vec<Message>,
    /// Number of messages up to which the client has read, and the therapist.
    read: [usize; 2],
}

impl Thread {
    /// Conversation without messages.
    pub(crate) const NONE: Self = Self { said: Vec::new(), read: [0; 2] };

    /// Counts the other side's messages after the read mark.
    pub(crate) fn unread(&self, by_client: bool) -> usize {
        let after = &self.said[self.read[usize::from(!by_client)]..];
        after.iter().filter(|said| said.by_client != by_client).count()
    }

    /// Marks messages as read up to this one. Returns the last read message.
    pub(crate) fn read(&mut self, by_client: bool, up_to: usize) -> &Message {
        let read = &mut self.read[usize::from(!by_client)];
        *read = (*read).max(up_to + 1);
        &self.said[*read - 1]
    }
}

/// Conversations, by client and therapist.
pub(crate) type Threads = [[Thread; EACH]; EACH];
