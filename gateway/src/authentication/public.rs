//! What is served to anyone.

/// The routes that need no token, as the router knows them. All others do, so that a new one is not open by mistake.
/// The probes stand outside of what is authenticated.
const PUBLIC: [&str; 0] = [];

/// Whether a request to this route is served whoever sends it. A path that leads nowhere is: it is answered 404, which
/// tells no more than the public description of the API.
pub(super) fn needs_no_caller(route: Option<&str>) -> bool {
    route.is_none_or(|route| PUBLIC.contains(&route))
}
