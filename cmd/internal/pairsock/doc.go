// Package pairsock connects the pair command to the programs of the same user that run:
// a service has no terminal in which it could ask its user.
//
// A program that may have to pair listens on a socket beside its keys (Listen). The pair
// command finds these (Find) and answers what they ask (Join). Messages are lines of JSON:
// the program sends questions, and the command answers with the number of the question.
package pairsock
