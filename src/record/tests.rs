//! Real redb files in temporary folders.
