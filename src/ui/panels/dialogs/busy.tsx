/** Progress and failure of a boot from the gallery, at the foot of the page. The open dialog shows its own. */
import { labStore, useLab } from '../../../store/lab.ts';
import css from './busy.module.css';
import { adviceFor } from './files.ts';

export function Busy() {
  const progress = useLab((s) => s.progress);
  const error = useLab((s) => s.error);
  const dialog = useLab((s) => s.dialog);
  if (dialog === 'open' || (progress === null && error === null)) return null;
  return (
    <div className={css['busy']}>
      {progress !== null && (
        <p role="status">
          <b>{progress.title}</b> {progress.detail}{' '}
          <progress
            {...(progress.fraction === null ? {} : { value: progress.fraction })}
            aria-label={progress.title}
          />
        </p>
      )}
      {error !== null && (
        <div role="alert" className={`${css['error']} refused`} data-testid="boot-error">
          <p>
            <b>{error.title}.</b> {error.message} <span className="second">{adviceFor(error.code)}</span>
          </p>
          <button type="button" className="underlined" onClick={() => labStore.setState({ error: null })}>
            Dismiss
          </button>
        </div>
      )}
    </div>
  );
}
