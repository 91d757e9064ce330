// Command bounded-buffer runs the problem of that name: bounded-buffer [VARIANT] [flags of interlock run].
package main

import "github.com/interlock-go/interlock/internal/cli"

func main() { cli.MainFor("bounded-buffer") }
