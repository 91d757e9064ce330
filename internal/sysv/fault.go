package sysv

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Fault is an errno in the words of the call that met it. What it wraps tells
// [fs.ErrNotExist], [fs.ErrExist] and [fs.ErrPermission] apart.
type Fault struct {
	text  string
	errno unix.Errno
}

func (f *Fault) Error() string { return f.text }
func (f *Fault) Unwrap() error { return f.errno }

// NewFault is for a fault that a caller finds before the kernel does.
func NewFault(text string, errno unix.Errno) *Fault { return &Fault{text, errno} }

// ErrRemoved says that the object behind an id has gone, before the call or during it.
var ErrRemoved = error(&Fault{"removed", unix.EIDRM})

// causes are what the errnos of one call mean.
type causes map[unix.Errno]error

func (c causes) of(err error) error {
	var errno unix.Errno
	if errors.As(err, &errno) && c[errno] != nil {
		return c[errno]
	}
	return err
}

func (c causes) ofErrno(errno unix.Errno) error {
	if errno == 0 {
		return nil
	}
	return c.of(errno)
}
