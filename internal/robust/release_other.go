//go:build !amd64

package robust

import "sync/atomic"

// storeRelease stores v after everything that the caller did before.
func storeRelease(p *uint64, v uint64) { atomic.StoreUint64(p, v) }
