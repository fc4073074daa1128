//! How does a pseudo terminal stand in for a serial device?

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::transport::stream::ByteStream;

/// How often it is looked whether somebody has opened the device: the kernel does not tell.
const LOOK: Duration = Duration::from_millis(5);

/// A serial device that is plugged in, under a name of our choice.
pub(super) struct Pty {
    master: OwnedFd,
    device: PathBuf,
    link: PathBuf,
}

impl Pty {
    /// Plugs it in. A link that an earlier run left behind is replaced, anything else at that place is not.
    pub fn plug_in(link: &Path) -> io::Result<Pty> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        rustix::io::ioctl_fionbio(&master, true)?;
        let device = PathBuf::from(std::ffi::OsString::from_vec(ptsname(&master, Vec::new())?.into_bytes()));
        make_raw(&device)?;
        make_link(&device, link)?;
        Ok(Pty { master, device, link: link.to_owned() })
    }

    /// The bytes of this end.
    #[expect(
        deprecated,
        reason = "its successor is unsafe for types that may lose their descriptor; a File keeps its own"
    )]
    pub fn stream(&self) -> io::Result<PtyStream> {
        Ok(PtyStream(AsyncFd::new(File::from(self.master.try_clone()?))?))
    }

    /// Completes when somebody has opened the device.
    pub async fn opened(&self) {
        while !self.is_open() {
            tokio::time::sleep(LOOK).await;
        }
    }

    fn is_open(&self) -> bool {
        let mut fds = [PollFd::new(&self.master, PollFlags::IN)];
        let asked = poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
        asked.is_ok() && !fds[0].revents().contains(PollFlags::HUP)
    }
}

/// Pulls it out.
impl Drop for Pty {
    fn drop(&mut self) {
        if std::fs::read_link(&self.link).is_ok_and(|target| target == self.device) {
            // Whoever has removed it meanwhile has done the same.
            let _ = std::fs::remove_file(&self.link);
        }
    }
}

/// Until somebody says otherwise, a terminal echoes and waits for the ends of lines. Opening and closing it once lets the
/// other end be seen as closed.
fn make_raw(device: &Path) -> io::Result<()> {
    let slave = rustix::fs::open(device, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
    let mut settings = tcgetattr(&slave)?;
    settings.make_raw();
    tcsetattr(&slave, OptionalActions::Now, &settings)?;
    Ok(())
}

fn make_link(device: &Path, link: &Path) -> io::Result<()> {
    match std::fs::read_link(link) {
        // The number of a device that is gone is the first that is given again, so the old link may name the new device.
        Ok(target) if target.starts_with("/dev/pts") && (target == device || !target.exists()) => {
            std::fs::remove_file(link)?;
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Ok(_) | Err(_) => {
            let message = format!("{} is there already, and not left behind by a simulated terminal", link.display());
            return Err(io::Error::new(ErrorKind::AlreadyExists, message));
        }
    }
    std::os::unix::fs::symlink(device, link)
}

/// The end of a pseudo terminal that plays the PT. That nobody has the other end open is an error.
pub(super) struct PtyStream(AsyncFd<File>);

impl AsyncRead for PtyStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.0.poll_read_ready(cx))?;
            match guard.try_io(|file| file.get_ref().read(buf.initialize_unfilled())) {
                Ok(Ok(count)) => {
                    buf.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_) => {}
            }
        }
    }
}

impl AsyncWrite for PtyStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.0.poll_write_ready(cx))?;
            if let Ok(written) = guard.try_io(|file| file.get_ref().write(bytes)) {
                return Poll::Ready(written);
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl ByteStream for PtyStream {
    fn read_arrived(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.get_ref().read(buffer)
    }

    fn reset_at_end(&mut self, _: bool) -> io::Result<()> {
        Ok(())
    }

    fn was_reset(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_link_that_a_killed_run_left_behind_is_replaced_also_when_its_number_came_back() {
        let folder = tempfile::tempdir().unwrap();
        let pty = Pty::plug_in(&folder.path().join("first")).unwrap();
        for left_behind in [pty.device.as_path(), Path::new("/dev/pts/no-such-device")] {
            let link = folder.path().join("second");
            symlink(left_behind, &link).unwrap();
            make_link(&pty.device, &link).unwrap();
            assert_eq!(std::fs::read_link(&link).unwrap(), pty.device);
            std::fs::remove_file(&link).unwrap();
        }
    }

    #[test]
    fn what_others_have_at_that_place_stays() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("terminal");
        let pty = Pty::plug_in(&link).unwrap();
        let error = Pty::plug_in(&link).map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_link(&link).unwrap(), pty.device);
    }
}
