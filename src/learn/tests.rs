//! Learning on evidence made for the purpose.
