//! Delivers the events of a service to those who subscribe to them, at least once.
