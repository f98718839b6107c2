// A report: the answers of the server stand in the page itself, as JSON. Nothing can be changed.
import { Answers } from "./report_answers.js";

export class FileSource {
  readonly = true;
  #answers;

  constructor(data, ErrorClass) {
    this.#answers = new Answers(data);
    this.about = data.about || {};
    this.Error = ErrorClass;
  }

  async get(path, params = {}) {
    const answer = this.#answers.find(path, params);
    if (answer === undefined) throw new this.Error(404, "NotInReport", "");
    return answer;
  }

  async send() {
    throw new this.Error(405, "NotInReport", "");
  }

  live() {
    return { close() {} };
  }
}
