package store

// IdentifyText is what Identify asks the database.
const IdentifyText = identifyText
