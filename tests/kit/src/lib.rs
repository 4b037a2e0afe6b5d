//! What the tests share: engines, fronts, meshes, callers.
