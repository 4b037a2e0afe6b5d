//! Renders the configuration of Envoy, the production front, from one template.
