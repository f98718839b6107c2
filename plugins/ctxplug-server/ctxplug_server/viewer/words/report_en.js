// What a report says of itself.
export const enReport = {
  "report.label": "About this report",
  "report.of": "A report of {title}, made on {time}. Nothing in it can be changed.",
  "report.left": "{count} things were left out",
  "report.left.one": "One thing was left out",
  "report.left.sessions": "{count} older sessions: a report holds the newest {most} unless told otherwise.",
  "report.left.no_room": "The session {session} of {namespace}: there was no room for it.",
  "report.left.unreadable": "The session {session}: it could not be read.",
  "report.left.memories": "Memories of {namespace} beyond the newest {most}.",
  "report.left.no_room_for_memories": "The memories of {namespace}: there was no room for them.",
  "report.left.calls": "The windows of {session} before its last {most} calls.",
  "report.left.texts": "The whole texts of {session} before its newest {most} rows.",
  "report.left.steps": "Steps of {session} before the newest {most}.",
  "report.left.compare": "The comparison of policies on {session}: it would have taken long.",
};
