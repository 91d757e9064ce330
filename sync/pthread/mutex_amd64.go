package pthread

// mutexTail is what fills the struct up to glibc's size, 40 bytes.
type mutexTail [8]byte
