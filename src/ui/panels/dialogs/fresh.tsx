/** A demo that cannot join the domains that live: may it have a machine of its own? */
import { AlertDialog } from 'radix-ui';
import { actions, labStore, useLab } from '../../../store/lab.ts';
import css from './dialogs.module.css';

export function FreshDialog() {
  const open = useLab((s) => s.dialog === 'fresh');
  const asked = useLab((s) => s.asked);
  return (
    <AlertDialog.Root open={open} onOpenChange={(is) => labStore.setState({ dialog: is ? 'fresh' : 'none' })}>
      <AlertDialog.Portal>
        <AlertDialog.Overlay className={css['overlay']} />
        <AlertDialog.Content className={css['dialog']}>
          <AlertDialog.Title className={css['title']}>A machine of its own</AlertDialog.Title>
          <AlertDialog.Description className={css['words']}>
            <b>{asked?.demo.title}</b> would have to start on a new machine. {asked?.why} The present domains
            go; what they printed is kept.
          </AlertDialog.Description>
          <div className={css['buttons']}>
            <span className="spacer" />
            <AlertDialog.Cancel className="boxed" type="button">
              Cancel
            </AlertDialog.Cancel>
            <AlertDialog.Action
              className="primary"
              type="button"
              onClick={() => asked !== null && void actions.bootDemo(asked.demo, true)}
            >
              New machine
            </AlertDialog.Action>
          </div>
        </AlertDialog.Content>
      </AlertDialog.Portal>
    </AlertDialog.Root>
  );
}
