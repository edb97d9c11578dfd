// Package tui is the terminal console: what a gateway does, and the levers that
// change it, in front of somebody's eyes.
//
// The way of what is shown:
//
//  1. One stream of events tells of changes and exchanges (feed). It is read by a
//     goroutine of its own into a bounded queue, and taken from there at most ten
//     times a second.
//  2. Lists are loaded when a screen first needs them, and again when an event says
//     that they changed (books, load). Few figures are asked for again as time
//     passes, and only by the screen that shows them.
//  3. A key becomes an action by the key map, which is a table (keymap), and the
//     screen, or the console, does it.
//  4. What an action changes goes through one door (change), which refuses without
//     the right or the gateway, keeps the command that does the same in a log, and
//     tells the outcome.
//  5. Drawing is pure: a screen gives text of the size it is told (screen, table,
//     box), and the console puts the frame and whatever is open over it.
//
// There is no input or output in Update: it returns commands, which the runtime
// runs elsewhere. The console knows nothing of flags and files of the command
// line; Options hand over what it needs.
package tui
