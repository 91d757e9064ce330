// Command dining runs the problem of that name: dining [VARIANT] [flags of interlock run].
package main

import "github.com/interlock-go/interlock/internal/cli"

func main() { cli.MainFor("dining") }
