// Command interlock runs, searches, replays and compares synchronization between processes.
package main

import "github.com/interlock-go/interlock/internal/cli"

func main() { cli.Main() }
