package childtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// nobody is the user and group that own nothing.
const nobody = 65534

// Nobody makes this process one of a user who owns nothing and may do nothing.
func Nobody() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: only root can become another user", ErrImpossible)
	}
	return errors.Join(syscall.Setgroups(nil), syscall.Setgid(nobody), syscall.Setuid(nobody))
}

// OwnMounts gives a command that has not been started its own view of the file
// systems, which [FullFileSystem] changes.
func OwnMounts(cmd *exec.Cmd) *exec.Cmd {
	cmd.SysProcAttr.Unshareflags = unix.CLONE_NEWNS
	if os.Geteuid() != 0 { // and be root there
		cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}
	return cmd
}

// FullFileSystem mounts a small file system in memory at a directory, for this
// process alone, and fills it. The process was started with [OwnMounts].
func FullFileSystem(directory string) error {
	if err := unix.Mount("tmpfs", directory, "tmpfs", 0, "size=16k"); err != nil {
		return fmt.Errorf("%w: mount at %s: %v", ErrImpossible, directory, err)
	}
	err := os.WriteFile(directory+"/filler", make([]byte, 1<<20), 0o600)
	if !errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("fill %s: %v", directory, err)
	}
	return nil
}

// NoDescriptors uses up the descriptors that this process may have, but for some.
func NoDescriptors(left int) error {
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 64, Max: 64}); err != nil {
		return err
	}
	var fds []int
	for {
		fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if errors.Is(err, unix.EMFILE) {
			break
		} else if err != nil {
			return err
		}
		fds = append(fds, fd)
	}
	for _, fd := range fds[len(fds)-left:] {
		if err := unix.Close(fd); err != nil {
			return err
		}
	}
	return nil
}
