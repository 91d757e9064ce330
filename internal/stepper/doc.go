// Package stepper makes a person the scheduler of a program: it shows a session of
// package explore on a screen of text and has keys move it. The keys come from a
// terminal that is drawn all over, from lines where the terminal can do no more, or
// from a script; what a key does and what is shown is the same for all three.
package stepper
