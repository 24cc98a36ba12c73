//! How is a file written so that no reader ever sees half of it? Beside its place, under another name, flushed to the disk,
//! then renamed. Knows nothing of what is in it.

use std::io::{BufWriter, Result, Write};
use std::path::Path;

/// Writes the file at `path`, whose folder is made where it is missing. What was there before stays until the new file is
/// whole. The file is as readable as any other that the user makes (their umask).
///
/// # Errors
/// What the disk or `write` says; nothing is left behind then.
pub fn write(path: &Path, write: impl FnOnce(&mut (dyn Write + Send)) -> Result<()>) -> Result<()> {
    let mut builder = tempfile::Builder::new();
    // Temporary files are private unless told otherwise; the umask takes from this what the user does not want.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    place(&mut builder, path, write)
}

/// As [`write()`], for what is a secret: readable by its owner alone.
///
/// # Errors
/// As [`write()`].
pub fn write_secret(path: &Path, write: impl FnOnce(&mut (dyn Write + Send)) -> Result<()>) -> Result<()> {
    place(&mut tempfile::Builder::new(), path, write)
}

fn place(
    builder: &mut tempfile::Builder<'_, '_>,
    path: &Path,
    write: impl FnOnce(&mut (dyn Write + Send)) -> Result<()>,
) -> Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut file = BufWriter::new(builder.prefix(".writing-").tempfile_in(folder)?);
    write(&mut file)?;
    let file = file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_fails_leaves_what_was_there_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/file");
        write(&path, |f| f.write_all(b"first")).unwrap();
        let half = |f: &mut (dyn Write + Send)| f.write_all(b"sec").and_then(|()| Err(std::io::Error::other("full")));
        assert_eq!(write(&path, half).unwrap_err().to_string(), "full");
        assert_eq!(std::fs::read(&path).unwrap(), b"first");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn others_may_read_what_is_no_secret() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (plain, open, secret) = (folder.path().join("p"), folder.path().join("o"), folder.path().join("s"));
        std::fs::write(&plain, "").unwrap();
        write(&open, |_| Ok(())).unwrap();
        write_secret(&secret, |_| Ok(())).unwrap();
        let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&open), mode(&plain), "as any other file");
        assert_eq!(mode(&secret), 0o600);
    }
}
