// Command counter runs the problem of that name: counter [VARIANT] [flags of interlock run].
package main

import "github.com/interlock-go/interlock/internal/cli"

func main() { cli.MainFor("counter") }
