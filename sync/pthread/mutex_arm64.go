package pthread

// mutexTail is what fills the struct up to glibc's size, 48 bytes.
type mutexTail [16]byte
