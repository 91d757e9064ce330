package robust

// storeRelease stores v after everything that the caller did before, without the
// cost of a sequentially consistent store.
//
//go:noescape
func storeRelease(p *uint64, v uint64)
