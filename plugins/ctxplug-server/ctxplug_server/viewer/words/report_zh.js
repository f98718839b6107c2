// 报告对自身的说明。
export const zhReport = {
  "report.label": "关于这份报告",
  "report.of": "{title} 的报告，生成于 {time}。报告内容不能修改。",
  "report.left": "有 {count} 项未收录",
  "report.left.one": "有 1 项未收录",
  "report.left.sessions": "{count} 个较早的会话：除非另行指定，报告只收录最新的 {most} 个。",
  "report.left.no_room": "{namespace} 的会话 {session}：空间不足。",
  "report.left.unreadable": "会话 {session}：无法读取。",
  "report.left.memories": "{namespace} 中最新 {most} 条以外的记忆。",
  "report.left.no_room_for_memories": "{namespace} 的记忆：空间不足。",
  "report.left.calls": "{session} 最后 {most} 次调用之前的窗口。",
  "report.left.texts": "{session} 最新 {most} 行之前的全文。",
  "report.left.steps": "{session} 最新 {most} 步之前的步骤。",
  "report.left.compare": "{session} 的策略对比：计算耗时太长。",
};
