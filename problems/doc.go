// Package problems is the vocabulary of the workbook: a Problem with its
// parameters, and its Variants, broken and fixed, each a program over one shared
// struct.
package problems
