// Package audit follows a vault's log from outside (FORMATS §7, §13): from one signed checkpoint to the next, leaf by leaf, from one
// publication of the heads map to the next, insert by insert, and statement by statement, each of which says where its insert belongs. What
// it verified it keeps in a folder of its own, survives being killed at any moment, and goes on from there.
//
// It may assume that the folder is its own and that nobody else writes to it meanwhile. It believes nothing that a vault answers, nor what
// it reads of its own folder: both are checked against what the log's key signed. It never goes back: of two histories that exclude each
// other it keeps both signed heads as evidence, and its state as it was.
package audit
